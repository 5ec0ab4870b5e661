import type { FormState, Organization, Shell, Theme } from "./types.ts";
import { Button, ButtonLink } from "./components/button.tsx";
import { Card, Fact, Facts, PageHead } from "./components/card.tsx";
import { entered, Form, FormMessage, Segments, TextAreaField, TextField } from "./components/form.tsx";
import { mayFound } from "./components/navigation.tsx";
import { Layout } from "./layout.tsx";
import { paths } from "./paths.ts";

/** Posts name, slug, description to /settings/organization; name to /settings/account; theme to /settings/theme. */
export interface SettingsPageProps {
  shell: Shell;
  /** Null for a person who belongs to none. */
  organization: Organization | null;
  organizationForm?: FormState;
  accountForm?: FormState;
}

const themes: readonly { value: Theme; text: string }[] = [
  { value: "system", text: "As the system" },
  { value: "light", text: "Light" },
  { value: "dark", text: "Dark" },
];

function OrganizationCard({ shell, organization, form }: {
  shell: Shell;
  organization: Organization;
  form: FormState | undefined;
}) {
  if (!shell.canManage) {
    return (
      <Card title="Organization">
        <Facts>
          <Fact name="Name">{organization.name}</Fact>
          <Fact name="Short name">
            <code>{organization.slug}</code>
          </Fact>
          <Fact name="Description">{organization.description}</Fact>
        </Facts>
      </Card>
    );
  }
  return (
    <Card title="Organization">
      <Form csrf={shell.csrf} action={paths.settingsOrganization} class="stack">
        <FormMessage state={form} />
        <TextField
          {...entered(form, "name", organization.name)}
          id="organization-name"
          label="Name"
          autocomplete="organization"
          required
        />
        <TextField
          {...entered(form, "slug", organization.slug)}
          label="Short name"
          mono
          autocomplete="off"
          hint="Lower-case letters, digits and dashes."
          required
        />
        <TextAreaField
          {...entered(form, "description", organization.description)}
          label="Description"
          rows={2}
        />
        <div class="row">
          <Button kind="main">Save</Button>
        </div>
      </Form>
    </Card>
  );
}

function ThemeForm({ shell }: { shell: Shell }) {
  return (
    <Card title="Theme">
      <Form
        csrf={shell.csrf}
        action={paths.settingsTheme}
        class="stack"
        hx-post={paths.settingsTheme}
        hx-trigger="change"
        hx-swap="none"
      >
        <fieldset>
          <legend class="hidden">Theme</legend>
          <Segments name="theme" value={shell.theme} choices={themes} attributes={{ "data-theme": "" }} />
        </fieldset>
        <p class="field-hint">Kept in this browser.</p>
        <div class="row no-script">
          <Button>Save</Button>
        </div>
      </Form>
    </Card>
  );
}

/** Settings of the organization and of the reader's own account. */
export function SettingsPage({ shell, organization, organizationForm, accountForm }: SettingsPageProps) {
  return (
    <Layout title="Settings" shell={shell} place="settings">
      <PageHead
        title="Settings"
        actions={mayFound(shell) && (
          <ButtonLink icon="plus" href={paths.newOrganization}>New organization</ButtonLink>
        )}
      />
      <div class="stack narrow">
        {organization && (
          <OrganizationCard shell={shell} organization={organization} form={organizationForm} />
        )}
        <Card title="Account" id="account">
          <Form csrf={shell.csrf} action={paths.settingsAccount} class="stack">
            <FormMessage state={accountForm} />
            <TextField
              {...entered(accountForm, "name", shell.user.name)}
              id="account-name"
              label="Your name"
              autocomplete="name"
              required
            />
            <p class="small second">{`You sign in as ${shell.user.email}.`}</p>
            <div class="row">
              <Button kind="main">Save</Button>
            </div>
          </Form>
          <p class="small second card-foot">
            {"What you let act for you stands under "}
            <a href={paths.applications}>Applications</a>.
          </p>
        </Card>
        <ThemeForm shell={shell} />
      </div>
    </Layout>
  );
}

/** Posts name, slug and description to /organizations. */
export interface NewOrganizationPageProps {
  shell: Shell;
  form?: FormState;
}

/** A further organization, apart from the others in everything but its people. */
export function NewOrganizationPage({ shell, form }: NewOrganizationPageProps) {
  return (
    <Layout title="New organization" shell={shell} place="settings">
      <PageHead
        title="New organization"
        lead="It has its own connections, members, keys and log. You become its owner."
      />
      <Card class="narrow">
        <Form csrf={shell.csrf} action={paths.organizations} class="stack">
          <FormMessage state={form} />
          <TextField {...entered(form, "name")} label="Name" autocomplete="off" required autofocus />
          <TextField
            {...entered(form, "slug")}
            label="Short name"
            note="optional"
            mono
            autocomplete="off"
            hint="Lower-case letters, digits and dashes. Without one it is made from the name."
          />
          <TextAreaField {...entered(form, "description")} label="Description" note="optional" rows={2} />
          <div class="row end">
            <ButtonLink href={paths.home}>Cancel</ButtonLink>
            <Button kind="main">Create organization</Button>
          </div>
        </Form>
      </Card>
    </Layout>
  );
}
