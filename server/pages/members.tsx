import { MemberRows, MembersPage, RemoveMemberPage } from "../../views/members.tsx";
import { paths } from "../../views/paths.ts";
import type { FormState } from "../../views/types.ts";
import { builtInRoles } from "../access/roles.ts";
import { perform } from "../actions/action.ts";
import { addMemberByEmail } from "../actions/member_by_email.ts";
import { listMembers, type Member, removeMember as remove, updateMemberRole } from "../actions/members.ts";
import { AppError } from "../errors.ts";
import { goTo, signUpIsOpen, type VisitContext, wantsPart } from "../visit.ts";
import {
  actorOf,
  attempt,
  contextOf,
  demand,
  infoOf,
  oneOf,
  pageOf,
  param,
  shellOf,
  toLastPage,
} from "./page.ts";

const pageSize = 50;
const readSize = 1000;

/** The people of the organization with their roles. */
export async function showMembers(
  c: VisitContext,
  form?: FormState,
  status: 200 | 409 | 422 | 429 = 200,
): Promise<Response> {
  const place = pageOf(c, pageSize);
  const { limit, offset } = place;
  const q = (c.req.query("q") ?? "").replace(/\p{Cc}/gu, "").trim().slice(0, 200);
  const { members, totalCount } = await perform(listMembers, contextOf(c), {
    ...(q && { search: q }),
    limit,
    offset,
  });
  const last = toLastPage(c, place, totalCount);
  if (last) return last;
  const list = {
    shell: await shellOf(c),
    members,
    info: infoOf(place, { shown: members.length, total: totalCount }),
    q,
    roles: rolesToGive(c),
  };
  if (wantsPart(c)) return await c.html(<MemberRows {...list} />);
  const { config } = c.get("visit").services;
  const signUpUrl = signUpIsOpen(config) ? config.baseUrl + "/sign-up" : null;
  return await c.html(<MembersPage {...list} signUpUrl={signUpUrl} {...(form && { form })} />, status);
}

/** An owner is made by an owner only. */
function rolesToGive(c: VisitContext): string[] {
  const isOwner = actorOf(c).roles.includes("owner");
  return builtInRoles.filter((role) => isOwner || role !== "owner");
}

/** Adds the person with an e-mail address. */
export async function addMember(c: VisitContext): Promise<Response> {
  const form = c.get("form");
  const values = form.pick("email", "role");
  return await attempt({ values, names: { userId: "email" } }, {
    run: async () => {
      const role = [oneOf(form.text("role"), ["user", "admin", "owner"])];
      const { member } = await perform(addMemberByEmail, contextOf(c), { email: values.email, role });
      return goTo(c, paths.members, { kind: "good", text: `${member.user.name} is a member now.` });
    },
    again: (state, status) => showMembers(c, state, status),
  });
}

/** Gives a member another role. */
export async function changeRole(c: VisitContext): Promise<Response> {
  const role = [oneOf(c.get("form").text("role"), ["user", "admin", "owner"])];
  return await orSay(c, async () => {
    const { member } = await perform(updateMemberRole, contextOf(c), { memberId: param(c, "id"), role });
    return goTo(c, paths.members, { kind: "good", text: `${member.user.name} has the role ${role[0]} now.` });
  });
}

/** Asks before a person is taken out of the organization. */
export async function showRemoveMember(c: VisitContext): Promise<Response> {
  demand(c, remove);
  return await c.html(<RemoveMemberPage shell={await shellOf(c)} member={await findMember(c)} />);
}

/** Takes a person out of the organization. */
export async function removeMember(c: VisitContext): Promise<Response> {
  const member = await findMember(c);
  return await orSay(c, async () => {
    await perform(remove, contextOf(c), { memberIdOrEmail: member.id });
    return goTo(c, paths.members, { kind: "good", text: `${member.user.name} is no longer a member.` });
  });
}

async function findMember(c: VisitContext): Promise<Member> {
  const id = param(c, "id");
  for (let offset = 0;; offset += readSize) {
    const page = await perform(listMembers, contextOf(c), { limit: readSize, offset });
    const found = page.members.find((member) => member.id === id);
    if (found) return found;
    if (!page.hasMore) throw new AppError("not_found", `Cannot show the member: there is no '${id}'`);
  }
}

/** Runs a change; where the organization's rules are against it, the list says so. */
async function orSay(c: VisitContext, run: () => Promise<Response>): Promise<Response> {
  try {
    return await run();
  } catch (error) {
    if (!(error instanceof AppError) || error.code !== "conflict") throw error;
    return goTo(c, paths.members, { kind: "bad", text: error.message });
  }
}
