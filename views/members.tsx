import type { FormState, Member, PageInfo, Shell } from "./types.ts";
import { Badge } from "./components/badge.tsx";
import { Button, ButtonLink } from "./components/button.tsx";
import { Card, EmptyState, PageHead } from "./components/card.tsx";
import { Filters, SearchBox } from "./components/filters.tsx";
import {
  type Choice,
  entered,
  Form,
  FormMessage,
  Options,
  SelectField,
  TextField,
} from "./components/form.tsx";
import { Cell, Results, Row } from "./components/table.tsx";
import { Time } from "./components/time.tsx";
import { ConfirmPage } from "./confirm.tsx";
import { Layout } from "./layout.tsx";
import { paths } from "./paths.ts";

export interface MemberRowsProps {
  shell: Shell;
  members: readonly Member[];
  info: PageInfo;
  /** What is searched for, `?q=`: names and addresses. */
  q: string;
  /** The roles that the reader may give. */
  roles: readonly string[];
}

/** Adding posts email and role to /members; changing posts role to /members/:id/role. */
export interface MembersPageProps extends MemberRowsProps {
  /** Where people make an account; null where they cannot. */
  signUpUrl: string | null;
  form?: FormState;
}

const ROWS_ID = "member-rows";

const known: Record<string, string> = { owner: "Owner", admin: "Administrator", user: "User" };

function roleName(role: string): string {
  return known[role] ?? role;
}

function choicesOf(roles: readonly string[]): Choice[] {
  return roles.map((role) => ({ value: role, text: roleName(role) }));
}

function RoleForm({ shell, member, index, roles }: {
  shell: Shell;
  member: Member;
  index: number;
  roles: readonly string[];
}) {
  const current = member.role[0] ?? "";
  const offered = roles.includes(current) ? roles : [current, ...roles];
  const id = `role-${index}`;
  return (
    <Form csrf={shell.csrf} action={paths.memberRole(member.id)} class="row inline-form">
      <label class="hidden" for={id}>{`Role of ${member.user.name}`}</label>
      <select class="control" id={id} name="role">
        <Options choices={choicesOf(offered)} value={current} />
      </select>
      <Button kind="quiet" about={`the role of ${member.user.name}`}>Change</Button>
    </Form>
  );
}

function MemberRow({ page, member, index }: { page: MemberRowsProps; member: Member; index: number }) {
  const { shell, roles } = page;
  const self = member.userId === shell.user.id;
  const fixed = !shell.canManage || self || (member.role.includes("owner") && !roles.includes("owner"));
  return (
    <Row>
      <Cell as="main">
        <div class="thing-text">
          <b>{self ? `${member.user.name} (you)` : member.user.name}</b>
          <span class="sub">{member.user.email}</span>
        </div>
      </Cell>
      <Cell as={fixed ? "state" : "note"}>
        {fixed
          ? <Badge tone="quiet">{member.role.map(roleName).join(", ")}</Badge>
          : <RoleForm shell={shell} member={member} index={index} roles={roles} />}
      </Cell>
      <Cell label="Since">
        <Time at={member.createdAt} none="–" />
      </Cell>
      <Cell as="actions">
        {!fixed && (
          <ButtonLink kind="quiet" href={paths.removeMember(member.id)} about={member.user.name}>
            Remove
          </ButtonLink>
        )}
      </Cell>
    </Row>
  );
}

/** The rows with count and paging: the whole answer to a request of htmx for `#member-rows`. */
export function MemberRows(props: MemberRowsProps) {
  const { members, info, q } = props;
  const none = (
    <EmptyState
      title="No member matches"
      actions={<ButtonLink href={paths.members}>Show all members</ButtonLink>}
    >
      Try another part of the name or of the e-mail address.
    </EmptyState>
  );
  return (
    <Results
      id={ROWS_ID}
      label="Members"
      columns={[
        { title: "Person" },
        { title: "Role" },
        { title: "Since" },
        { title: "Actions", silent: true },
      ]}
      info={info}
      path={paths.members}
      query={{ q }}
      empty={members.length === 0 && none}
    >
      {members.map((member, index) => (
        <MemberRow
          key={member.id}
          page={props}
          member={member}
          index={index}
        />
      ))}
    </Results>
  );
}

/** The people of the organization with their roles, and a form that adds one. */
export function MembersPage({ form, signUpUrl, ...list }: MembersPageProps) {
  const { shell, roles, q } = list;
  return (
    <Layout title="Members" shell={shell} place="members">
      <PageHead
        title="Members"
        lead={`People who can use the connections of ${shell.organization?.name ?? "this organization"}.`}
        actions={shell.canManage && (
          <ButtonLink kind="main" icon="plus" href="#f-email">Add a member</ButtonLink>
        )}
      />
      <Filters action={paths.members} target={ROWS_ID} label="Members">
        <SearchBox label="Search members" value={q} />
      </Filters>
      <MemberRows {...list} />
      {shell.canManage && (
        <Card title="Add a member" class="narrow">
          <Form csrf={shell.csrf} action={paths.members} class="stack">
            <FormMessage state={form} />
            <div class="pair">
              <TextField
                {...entered(form, "email")}
                label="E-mail"
                type="email"
                autocomplete="off"
                hint={signUpUrl === null
                  ? (
                    <>
                      {"Of somebody who has an account here. Nobody can make one while "}
                      <code>allowSignUp</code> {" in auth-config.json is off."}
                    </>
                  )
                  : (
                    <>
                      {"Of somebody who has an account here. Without one, they make it at "}
                      <code>{signUpUrl}</code>
                    </>
                  )}
                required
              />
              <SelectField {...entered(form, "role", "user")} label="Role" choices={choicesOf(roles)} />
            </div>
            <div class="row">
              <Button kind="main">Add member</Button>
            </div>
          </Form>
        </Card>
      )}
    </Layout>
  );
}

export interface RemoveMemberPageProps {
  shell: Shell;
  member: Member;
  form?: FormState | undefined;
}

/** Asks before a person is taken out of the organization. */
export function RemoveMemberPage({ shell, member, form }: RemoveMemberPageProps) {
  return (
    <ConfirmPage
      shell={shell}
      place="members"
      title={`Remove ${member.user.name} from ${shell.organization?.name ?? "the organization"}`}
      consequences={[
        "They and their API keys of this organization are refused from the next request on.",
        "Their account stays, and so do the other organizations that they belong to.",
        "The log keeps what they called.",
      ]}
      action={paths.removeMember(member.id)}
      confirm="Remove member"
      cancel={paths.members}
      form={form}
    />
  );
}
