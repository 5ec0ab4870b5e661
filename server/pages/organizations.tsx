import { paths } from "../../views/paths.ts";
import { NewOrganizationPage } from "../../views/settings.tsx";
import type { FormState } from "../../views/types.ts";
import { perform } from "../actions/action.ts";
import { createOrganization as create } from "../actions/organizations.ts";
import { AppError } from "../errors.ts";
import { distinctSlug, slugOf } from "../ids.ts";
import { goTo, type VisitContext } from "../visit.ts";
import { actorOf, attempt, contextOf, demand, shellOf } from "./page.ts";

/** The form for a further organization. */
export async function showNewOrganization(
  c: VisitContext,
  form?: FormState,
  status: 200 | 409 | 422 | 429 = 200,
): Promise<Response> {
  if (actorOf(c).organizationId !== null) demand(c, create);
  return await c.html(<NewOrganizationPage shell={await shellOf(c)} {...(form && { form })} />, status);
}

/** Makes an organization and goes on in it. */
export async function createOrganization(c: VisitContext): Promise<Response> {
  const values = c.get("form").pick("name", "slug", "description");
  return await attempt({ values }, {
    run: async () => {
      const { organization } = await createWithSlug(c, values);
      await c.get("visit").choose(organization.id);
      return goTo(c, paths.home, { kind: "good", text: `${organization.name} is made, and you own it.` });
    },
    again: (state, status) => showNewOrganization(c, state, status),
  });
}

/** Without a short name one is made from the name, with an end of its own where that is taken. */
async function createWithSlug(c: VisitContext, values: Record<"name" | "slug" | "description", string>) {
  if (values.slug !== "") return await perform(create, contextOf(c), values);
  const slug = slugOf(values.name);
  try {
    return await perform(create, contextOf(c), { ...values, slug });
  } catch (error) {
    if (!(error instanceof AppError) || error.code !== "conflict") throw error;
    return await perform(create, contextOf(c), { ...values, slug: distinctSlug(slug) });
  }
}

/** Acts in another organization from now on. */
export async function chooseOrganization(c: VisitContext): Promise<Response> {
  const id = c.get("form").text("organizationId");
  if (await c.get("visit").choose(id)) return goTo(c, listBehind(c.req.header("referer")));
  throw new AppError("not_found", `Cannot choose the organization: there is no '${id}'`);
}

/** The list that the person looks at, which the other organization has too; otherwise the start page. */
function listBehind(referer: string | undefined): string {
  const { connections, activity, apiKeys, members, settings, home } = paths;
  const path = referer && URL.canParse(referer) ? new URL(referer).pathname : "";
  return [connections, activity, apiKeys, members, settings].find((list) =>
    path === list || path.startsWith(`${list}/`)
  ) ?? home;
}
