import type { FormState, Member, PageInfo, Shell } from "./types.ts";
import { Badge } from "./components/badge.tsx";
import { Button, ButtonLink } from "./components/button.tsx";
import { Card, PageHead } from "./components/card.tsx";
import {
  type Choice,
  entered,
  Form,
  FormMessage,
  Options,
  SelectField,
  TextField,
} from "./components/form.tsx";
import { Cell, Paging, Row, Table } from "./components/table.tsx";
import { Time } from "./components/time.tsx";
import { ConfirmPage } from "./confirm.tsx";
import { Layout } from "./layout.tsx";
import { paths } from "./paths.ts";

/** Adding posts email and role to /members; changing posts role to /members/:id/role. */
export interface MembersPageProps {
  shell: Shell;
  members: readonly Member[];
  info: PageInfo;
  /** The roles that the reader may give. */
  roles: readonly string[];
  form?: FormState;
}

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

function MemberRow({ page, member, index }: { page: MembersPageProps; member: Member; index: number }) {
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
      <Cell as="note">
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

/** The people of the organization with their roles, and a form that adds one. */
export function MembersPage(props: MembersPageProps) {
  const { shell, members, info, roles, form } = props;
  return (
    <Layout title="Members" shell={shell} place="members">
      <PageHead
        title="Members"
        lead={`People who can use the connections of ${shell.organization?.name ?? "this organization"}.`}
      />
      <Table
        label="Members"
        columns={[
          { title: "Person" },
          { title: "Role" },
          { title: "Since" },
          { title: "Actions", silent: true },
        ]}
        foot={<Paging info={info} path={paths.members} />}
      >
        {members.map((member, index) => (
          <MemberRow key={member.id} page={props} member={member} index={index} />
        ))}
      </Table>
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
                hint={
                  <>
                    {"Of an account that exists on this installation. People make theirs with "}
                    <code>POST /api/auth/sign-up/email</code> {" while auth-config.json allows sign-up."}
                  </>
                }
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
