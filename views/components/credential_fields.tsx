import type { Child } from "hono/jsx";
import type { Connection, FormState } from "../types.ts";
import { CodeBlock } from "./code.tsx";
import { Check, entered, optionalLines, Segments, SelectField, TextAreaField, TextField } from "./form.tsx";

/** How calls identify themselves to a server; `auto`: Mesh finds out. */
export type CredentialKind = "auto" | "none" | "token" | "headers" | "oauth" | "client_credentials";

const kinds: Record<CredentialKind, string> = {
  auto: "Mesh finds out",
  none: "None",
  token: "Token",
  headers: "Headers, such as an API key",
  oauth: "Sign-in at the server (OAuth)",
  client_credentials: "Client id and secret, without a person (OAuth)",
};

const hints: Record<CredentialKind, string> = {
  auto: "It asks the server. Choose yourself where you have a token, or headers, to give.",
  none: "Calls carry nothing that says who they are from.",
  token: "Sent as Authorization: Bearer.",
  headers: "Sent with every call.",
  oauth: "Whoever connects signs in at the server; Mesh renews the access by itself.",
  client_credentials: "Mesh signs in as itself, with a client that you have registered at the server.",
};

/** The kind of a connection as it is stored. */
export function kindOf(connection: Connection): CredentialKind {
  const { credential_type, credential_mode, oauth_config, personal_headers, has_token } = connection;
  if (credential_type === "oauth") {
    return oauth_config?.grant_type === "client_credentials" ? "client_credentials" : "oauth";
  }
  if (credential_mode === "per_user") return personal_headers?.length ? "headers" : "token";
  if (has_token) return "token";
  return Object.keys(connection.connection_headers?.headers ?? {}).length > 0 ? "headers" : "none";
}

export interface CredentialFieldsProps {
  form: FormState | undefined;
  /** Missing while it is being made. */
  connection?: Connection;
  /** Where a server sends people back to who have signed in there. */
  redirectUri: string;
}

/** Shown for some kinds only; the others are hidden by the stylesheet, and the server passes over what they hold. */
function For({ kinds, whose, children }: {
  kinds: string;
  whose?: "shared" | "per_user";
  children?: Child;
}) {
  return <div class="stack" data-kinds={kinds} data-whose={whose}>{children}</div>;
}

function Kind({ form, connection }: CredentialFieldsProps) {
  const stored = connection ? kindOf(connection) : "auto";
  const offered = Object.entries(kinds).filter(([kind]) => kind !== "auto" || connection === undefined);
  return (
    <div>
      <SelectField
        {...entered(form, "kind", stored)}
        label={connection ? "Kind" : "Credential"}
        choices={offered.map(([value, text]) => ({ value, text }))}
      />
      {offered.map(([kind]) => (
        <p key={kind} class="field-hint" data-kinds={kind}>{hints[kind as CredentialKind]}</p>
      ))}
    </div>
  );
}

const owners = [
  { value: "shared", text: "Shared" },
  { value: "per_user", text: "Each person their own" },
] as const;

function Whose({ form, connection }: CredentialFieldsProps) {
  const whose = form?.values?.whose || (connection?.credential_mode ?? "shared");
  return (
    <fieldset>
      <legend>Whose credential</legend>
      <Segments name="whose" value={whose} choices={owners} />
      <p class="field-hint" data-whose="shared">One for the organization; administrators look after it.</p>
      <p class="field-hint" data-whose="per_user">
        Everybody connects their own account under My connections, and calls run as them.
      </p>
    </fieldset>
  );
}

const secret = {
  type: "password",
  autocomplete: "off",
  mono: true,
  attributes: { autocapitalize: "off", spellcheck: "false" },
} as const;

function stored(kept: boolean, what: string): { placeholder?: string } {
  return kept ? { placeholder: `${what} is stored; paste another to replace it` } : {};
}

function Token({ form, connection }: CredentialFieldsProps) {
  return (
    <TextField
      {...entered(form, "token")}
      {...secret}
      {...stored(connection?.has_token === true, "A token")}
      value=""
      label="Token"
      hint="It is stored encrypted and never shown again."
    />
  );
}

/** `prefix` comes before the names of the fields of a client, as two kinds of credential have one. */
type ClientProps = CredentialFieldsProps & { prefix: string };

/** What the settings that may be left out have in common. */
const setting = { note: "optional", mono: true, autocomplete: "off" } as const;

function kept({ connection }: ClientProps, name: string): string {
  const value = connection?.oauth_config?.[name];
  return typeof value === "string" ? value : "";
}

/** As `entered`, with what is stored where nothing was entered. */
function ofClient(props: ClientProps, name: string) {
  return entered(props.form, props.prefix + name, kept(props, name));
}

function Client(props: ClientProps & { required: boolean }) {
  const { form, connection, prefix, required } = props;
  const known = connection?.oauth_config ?? {};
  return (
    <>
      <div class="pair">
        <TextField
          {...ofClient(props, "client_id")}
          label="Client id"
          mono
          autocomplete="off"
          {...(required ? {} : { note: "optional" })}
        />
        <TextField
          {...entered(form, `${prefix}client_secret`)}
          {...secret}
          {...stored("client_secret" in known, "One")}
          value=""
          label="Client secret"
          {...(required ? {} : { note: "optional" })}
        />
      </div>
      <TextField
        {...ofClient(props, "scope")}
        label="Scopes"
        {...setting}
        hint="With blanks between. Left empty, Mesh asks for what the server names."
      />
    </>
  );
}

const methods = [
  { value: "", text: "As the server says" },
  { value: "client_secret_basic", text: "Secret in a header (client_secret_basic)" },
  { value: "client_secret_post", text: "Secret in the body (client_secret_post)" },
  { value: "private_key_jwt", text: "Private key (private_key_jwt)" },
  { value: "none", text: "Nothing (none)" },
];

function UnusualServer(props: ClientProps) {
  const { form, connection, prefix } = props;
  const known = connection?.oauth_config ?? {};
  const names = ["authorization_server", "resource", "token_endpoint_auth_method", "private_key"];
  const open = names.some((name) => kept(props, name) !== "" || form?.errors?.[prefix + name]);
  return (
    <details class="fold" open={open}>
      <summary>For unusual servers</summary>
      <div class="stack">
        <TextField
          {...ofClient(props, "authorization_server")}
          label="Authorization server"
          {...setting}
          hint="Its issuer, where the server does not name it."
        />
        <TextField
          {...ofClient(props, "resource")}
          label="Resource"
          {...setting}
          hint="What to ask tokens for, where the server does not name it."
        />
        <SelectField
          {...ofClient(props, "token_endpoint_auth_method")}
          label="How the client proves itself"
          choices={methods}
        />
        <TextAreaField
          {...entered(form, `${prefix}private_key`)}
          value=""
          label="Private key"
          {...optionalLines}
          {...stored("private_key" in known, "A key")}
          hint="PEM or JSON Web Key. It is stored encrypted and never shown again."
        />
      </div>
    </details>
  );
}

function SignIn(props: CredentialFieldsProps) {
  const { form, connection, redirectUri } = props;
  const open = connection?.oauth_config != null ||
    Object.keys(form?.errors ?? {}).some((name) => name.startsWith("oauth_"));
  return (
    <details class="fold" open={open}>
      <summary>Client id, scopes and more</summary>
      <div class="stack">
        <p class="small second">
          Most servers need none of this: Mesh registers itself. Where one does not let it, register a client
          there with this address to return to.
        </p>
        <CodeBlock id="redirect-uri" text={redirectUri} label="Redirect URI" wrap />
        <Client {...props} prefix="oauth_" required={false} />
        <UnusualServer {...props} prefix="oauth_" />
      </div>
    </details>
  );
}

function Headers({ form, connection }: CredentialFieldsProps) {
  const names = Object.keys(connection?.connection_headers?.headers ?? {});
  return (
    <>
      {names.length > 0 && (
        <fieldset>
          <legend>Stored headers</legend>
          {names.map((name, index) => (
            <Check id={`remove-header-${index}`} name="remove_header" value={name}>
              {"Remove "}
              <code>{name}</code>
            </Check>
          ))}
        </fieldset>
      )}
      <TextAreaField
        {...entered(form, "headers")}
        label={names.length > 0 ? "Add or replace headers" : "Headers"}
        {...optionalLines}
        placeholder="X-Api-Key: value"
        hint={
          <>
            {"One a line, name and value with a colon between; the same for everybody, stored encrypted. A value may say who calls: "}
            <code>{"{user.email}"}</code>, <code>{"{user.name}"}</code>, <code>{"{user.id}"}</code>
            {"."}
          </>
        }
      />
    </>
  );
}

/** Whose credential goes to a server and of which kind; what a kind does not need is not shown. */
export function CredentialFields(props: CredentialFieldsProps) {
  const { form, connection } = props;
  return (
    <div class="credential stack">
      <Kind {...props} />
      <For kinds="token headers oauth">
        <Whose {...props} />
      </For>
      <For kinds="token" whose="shared">
        <Token {...props} />
      </For>
      <For kinds="headers" whose="per_user">
        <TextAreaField
          {...entered(form, "personal_headers", connection?.personal_headers?.join("\n"))}
          label="Headers that each person gives a value for"
          mono
          rows={2}
          placeholder="X-Api-Key"
          hint="One name a line."
        />
      </For>
      <For kinds="oauth">
        <SignIn {...props} />
      </For>
      <For kinds="client_credentials">
        <Client {...props} prefix="machine_" required />
        <UnusualServer {...props} prefix="machine_" />
      </For>
      <For kinds="none token headers oauth client_credentials">
        <Headers {...props} />
      </For>
    </div>
  );
}
