import type { Child } from "hono/jsx";
import type { FormState, Shell } from "./types.ts";
import { Button, ButtonLink } from "./components/button.tsx";
import { Form, FormMessage } from "./components/form.tsx";
import type { Place } from "./components/navigation.tsx";
import { Layout } from "./layout.tsx";

export interface ConfirmPageProps {
  shell: Shell;
  place: Place;
  /** Names the act and the thing: `Delete connection "Linear"`. */
  title: string;
  /** What it means, one sentence each. */
  consequences: readonly string[];
  /** The form posts here, without further fields. */
  action: string;
  /** The words on the button: `Delete connection`. */
  confirm: string;
  /** Where "Cancel" leads. */
  cancel: string;
  form?: FormState | undefined;
  children?: Child;
}

function consequenceItem(words: string) {
  return <li>{words}</li>;
}

/** Asks before something that cannot be undone, naming the thing and the consequence. */
export function ConfirmPage(props: ConfirmPageProps) {
  const { shell, place, title, consequences, action, confirm, cancel, form, children } = props;
  return (
    <Layout title={title} shell={shell} place={place}>
      <div class="card confirm">
        <h1>{title}</h1>
        <FormMessage state={form} />
        <ul class="consequences">
          {consequences.map(consequenceItem)}
        </ul>
        <Form csrf={shell.csrf} action={action}>
          {children}
          <div class="row end">
            <ButtonLink href={cancel}>Cancel</ButtonLink>
            <Button kind="danger">{confirm}</Button>
          </div>
        </Form>
      </div>
    </Layout>
  );
}
