import { paths } from "../../views/paths.ts";
import { SettingsPage, type SettingsPageProps } from "../../views/settings.tsx";
import { perform } from "../actions/action.ts";
import { listOrganizations, updateOrganization } from "../actions/organizations.ts";
import { updateUser } from "../actions/users.ts";
import { goTo, setTheme, type VisitContext, wantsPart } from "../visit.ts";
import { actorOf, attempt, contextOf, oneOf, shellOf } from "./page.ts";

type Forms = Pick<SettingsPageProps, "organizationForm" | "accountForm">;
const saved = { kind: "good", text: "The changes are saved." } as const;

/** Settings of the organization and of the person's own account. */
export async function showSettings(c: VisitContext): Promise<Response> {
  return await show(c);
}

/** Changes name, short name and description of the organization. */
export async function saveOrganization(c: VisitContext): Promise<Response> {
  const values = c.get("form").pick("name", "slug", "description");
  return await attempt({ values }, {
    run: async () => {
      await perform(updateOrganization, contextOf(c), { id: actorOf(c).organizationId, ...values });
      return goTo(c, paths.settings, saved);
    },
    again: (organizationForm, status) => show(c, { organizationForm }, status),
  });
}

/** Changes the person's own name. */
export async function saveAccount(c: VisitContext): Promise<Response> {
  const values = c.get("form").pick("name");
  return await attempt({ values }, {
    run: async () => {
      await perform(updateUser, contextOf(c), values);
      return goTo(c, paths.settings, saved);
    },
    again: (accountForm, status) => show(c, { accountForm }, status),
  });
}

/** Keeps the theme in this browser. */
export function saveTheme(c: VisitContext): Response {
  setTheme(c, oneOf(c.get("form").text("theme"), ["system", "light", "dark"]));
  return wantsPart(c) ? c.body(null, 204) : goTo(c, paths.settings);
}

async function show(
  c: VisitContext,
  forms: Forms = {},
  status: 200 | 409 | 422 | 429 = 200,
): Promise<Response> {
  const { organizations } = await perform(listOrganizations, contextOf(c), {});
  const organization = organizations.find(({ id }) => id === actorOf(c).organizationId) ?? null;
  return await c.html(
    <SettingsPage shell={await shellOf(c)} organization={organization} {...forms} />,
    status,
  );
}
