import type { FormState, Shell } from "./types.ts";
import { Button, ButtonLink } from "./components/button.tsx";
import { Card, PageHead } from "./components/card.tsx";
import {
  Check,
  entered,
  Form,
  FormMessage,
  SelectField,
  TextAreaField,
  TextField,
} from "./components/form.tsx";
import { Layout } from "./layout.tsx";
import { paths } from "./paths.ts";

/**
 * Posts to /applications/clients: name, redirect_uris (one a line), secret (`yes`, `no`) and alone: what it may do
 * without a person (empty for nothing, `read`, `call`, `all`, or a connection's id).
 */
export interface NewOauthClientPageProps {
  shell: Shell;
  connections: readonly { id: string; title: string }[];
  form?: FormState;
}

/** Registers an application by hand: for those that ask for a client id, or that act without a person. */
export function NewOauthClientPage({ shell, connections, form }: NewOauthClientPageProps) {
  const secret = form?.values?.secret ?? "yes";
  return (
    <Layout title="Register an application" shell={shell} place="applications">
      <PageHead
        title="Register an application"
        lead="Only where it asks for a client id: most applications register by themselves."
      />
      <Form csrf={shell.csrf} action={paths.oauthClients} class="stack narrow">
        <FormMessage state={form} />
        <Card class="stack">
          <TextField
            {...entered(form, "name")}
            label="Name"
            autocomplete="off"
            hint="People see it when they are asked."
            required
            autofocus
          />
          <TextAreaField
            {...entered(form, "redirect_uris")}
            label="Redirect URIs"
            note="one a line"
            rows={3}
            mono
            hint="Where people return to: as the application names it, character by character. On people's own computers any port will do."
            placeholder="https://claude.ai/api/mcp/auth_callback"
          />
          <fieldset>
            <legend>Secret</legend>
            <Check type="radio" id="secret-yes" name="secret" value="yes" checked={secret !== "no"}>
              With a secret, for applications that run on a server
            </Check>
            <Check type="radio" id="secret-no" name="secret" value="no" checked={secret === "no"}>
              Without one, for applications on people's own computers
            </Check>
          </fieldset>
        </Card>
        <Card title="Without a person">
          <SelectField
            {...entered(form, "alone")}
            label="It may, as you"
            hint="Grant type client_credentials, with the secret. Never more than you can, now or later; it stops when you leave the organization."
            choices={[
              { value: "", text: "do nothing: somebody always allows it" },
              { value: "read", text: "look at connections, members, keys and the log" },
              { value: "call", text: "call every connection" },
              ...connections.map(({ id, title }) => ({ value: id, text: `call ${title}` })),
              { value: "all", text: "do everything that you may do" },
            ]}
          />
        </Card>
        <div class="row end">
          <ButtonLink href={paths.applications}>Cancel</ButtonLink>
          <Button kind="main">Register</Button>
        </div>
      </Form>
    </Layout>
  );
}
