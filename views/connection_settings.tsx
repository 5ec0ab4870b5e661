import type { FormState } from "./types.ts";
import { Button, ButtonLink } from "./components/button.tsx";
import { Card } from "./components/card.tsx";
import { Check, entered, Form, FormMessage, TextAreaField, TextField } from "./components/form.tsx";
import { saysTheWay, WayFields } from "./components/way_fields.tsx";
import { ConfirmPage } from "./confirm.tsx";
import { ConnectionFrame, type ConnectionPageProps } from "./connection_frame.tsx";
import { plural } from "./format.ts";
import { paths } from "./paths.ts";
import type { Shell } from "./types.ts";

/**
 * Posts title, description, url, status, and the fields of the way to the server to /connections/:id/settings.
 */
export interface ConnectionSettingsPageProps extends ConnectionPageProps {
  form?: FormState;
}

function StatusChoice({ status }: { status: string }) {
  return (
    <fieldset>
      <legend>Status</legend>
      <Check type="radio" id="status-active" name="status" value="active" checked={status === "active"}>
        On
      </Check>
      <Check
        type="radio"
        id="status-inactive"
        name="status"
        value="inactive"
        checked={status === "inactive"}
        hint="Calls are refused; nothing is deleted."
      >
        Off
      </Check>
    </fieldset>
  );
}

function SettingsForm({ shell, connection, form }: ConnectionSettingsPageProps) {
  return (
    <Form csrf={shell.csrf} action={paths.connectionTab(connection.id, "settings")} class="stack">
      <FormMessage state={form} />
      <TextField {...entered(form, "title", connection.title)} label="Title" required />
      <TextAreaField
        {...entered(form, "description", connection.description)}
        label="Description"
        rows={2}
        hint="What it is for, for the people who choose it."
      />
      {connection.connection_type !== "STDIO" && (
        <TextField
          {...entered(form, "url", connection.connection_url)}
          label="URL"
          type="url"
          mono
          required
          hint={connection.connection_url?.includes("***")
            ? "*** is a part that lets in whoever knows it: it stays while the rest does. Another URL takes all of it."
            : "Clients are not affected when it changes: they know only the address in Mesh."}
        />
      )}
      <StatusChoice
        status={form?.values?.status ?? (connection.status === "inactive" ? "inactive" : "active")}
      />
      {connection.connection_type !== "STDIO" && (
        <details class="fold" open={saysTheWay(form, connection)}>
          <summary>Who calls, time-out and certificates</summary>
          <div class="stack">
            <WayFields form={form} connection={connection} />
          </div>
        </details>
      )}
      <div class="row">
        <Button kind="main">Save</Button>
      </div>
    </Form>
  );
}

/** Name, description, address and state of a connection, and the way to delete it. */
export function ConnectionSettingsPage(props: ConnectionSettingsPageProps) {
  return (
    <ConnectionFrame {...props} tab="settings">
      <div class="stack narrow">
        <Card>
          <SettingsForm {...props} />
        </Card>
        <Card title="Delete this connection">
          <p class="second">
            Clients that use it stop working at once, and its credentials are destroyed. The log keeps what
            was called.
          </p>
          <div class="row card-foot">
            <ButtonLink class="bad" href={paths.deleteConnection(props.connection.id)}>
              Delete connection…
            </ButtonLink>
          </div>
        </Card>
      </div>
    </ConnectionFrame>
  );
}

export interface DeleteConnectionPageProps {
  shell: Shell;
  connection: { id: string; title: string };
  /** Keys that name this connection in their permissions. */
  keyCount: number;
  /** Calls of the last seven days. */
  calls: number;
  form?: FormState | undefined;
}

/** Asks before a connection is deleted. */
export function DeleteConnectionPage(
  { shell, connection, keyCount, calls, form }: DeleteConnectionPageProps,
) {
  return (
    <ConfirmPage
      shell={shell}
      place="connections"
      title={`Delete connection “${connection.title}”`}
      consequences={[
        calls > 0
          ? `It was called ${plural(calls, "time")} in the last 7 days; those clients stop working at once.`
          : "It was not called in the last 7 days.",
        keyCount > 0
          ? `${plural(keyCount, "API key")} lose${keyCount === 1 ? "s" : ""} access to it.`
          : "No API key names it.",
        "Its stored credentials are destroyed and cannot be brought back.",
        "The log keeps what was called.",
      ]}
      action={paths.deleteConnection(connection.id)}
      confirm="Delete connection"
      cancel={paths.connectionTab(connection.id, "settings")}
      form={form}
    />
  );
}
