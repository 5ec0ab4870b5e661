import type { Child } from "hono/jsx";
import type { FormState, PublicShell } from "./types.ts";
import { Button, ButtonLink } from "./components/button.tsx";
import { Grant, Notice } from "./components/card.tsx";
import { Check, Form, FormMessage, SelectField } from "./components/form.tsx";
import { plural } from "./format.ts";
import { AuthLayout } from "./layout.tsx";
import { paths } from "./paths.ts";

/** How much an application gets: everything it could, what changes nothing, or what the person picks. */
export type ConsentScope = "all" | "read" | "chosen";

/** What an application asks for; its texts are its own and its server's, none of them to be trusted. */
export interface ConsentAsked {
  requestId: string;
  client: {
    name: string;
    source: "document" | "dynamic" | "manual";
    host: string | null;
    unproven: boolean;
  };
  redirect: { host: string; kind: "web" | "loopback" | "app" };
  /** More than one only for the mesh itself; `title` is the connection's, null for the mesh itself. */
  organizations: readonly { id: string; name: string; title: string | null }[];
  /** Null for the mesh itself and while the connection's server has not listed any. */
  tools: readonly { name: string; title: string | null; readOnly: boolean }[] | null;
}

/**
 * Posts request, answer (`allow` or `cancel`), organizationId, scope (`all`, `read`, `chosen`) and tool (repeated,
 * for `chosen`) to the address of the page.
 */
export interface ConsentPageProps {
  shell: PublicShell;
  asked: ConsentAsked;
  user: { name: string; email: string };
  organizationId: string;
  scope: ConsentScope;
  /** What is picked beforehand: names of tools and other actions. */
  chosen: readonly string[];
  /** Other actions that may be picked, such as those that the application says it needs. */
  others: readonly string[];
  form?: FormState;
}

const kinds = {
  web: "",
  loopback: " on this computer",
  app: ", whichever application of this computer opens such addresses",
} as const;

function Origin({ asked: { client, redirect } }: { asked: ConsentAsked }) {
  const from = client.source === "document"
    ? "From "
    : client.source === "manual"
    ? "An administrator registered it here."
    : "It registered itself; nobody has checked its name.";
  return (
    <p class="lead small">
      {from}
      {client.source === "document" && <strong>{client.host}</strong>}
      {client.source === "document" && "."}
      {" It will return to "}
      <strong>{redirect.host}</strong>
      {`${kinds[redirect.kind]}.`}
    </p>
  );
}

function Organization({ asked, organizationId, form }: ConsentPageProps) {
  const [only] = asked.organizations;
  const error = form?.errors?.organizationId;
  if (asked.organizations.length === 1 && only) {
    return (
      <p class="consent-place">
        <span class="second">Organization</span>
        <b>{only.name}</b>
        <input type="hidden" name="organizationId" value={only.id} />
      </p>
    );
  }
  return (
    <SelectField
      name="organizationId"
      label="Organization"
      value={organizationId}
      error={error}
      choices={asked.organizations.map(({ id, name }) => ({ value: id, text: name }))}
    />
  );
}

interface Option {
  scope: ConsentScope;
  text: string;
  hint?: string;
}

function Scopes({ legend, options, scope }: {
  legend: string;
  options: readonly Option[];
  scope: ConsentScope;
}) {
  return (
    <fieldset>
      <legend class="hidden">{legend}</legend>
      {options.map((option) => (
        <Check
          type="radio"
          id={`scope-${option.scope}`}
          name="scope"
          value={option.scope}
          checked={option.scope === scope}
          hint={option.hint}
        >
          {option.text}
        </Check>
      ))}
    </fieldset>
  );
}

function ToolChoice({ asked, chosen, others }: ConsentPageProps) {
  return (
    <fieldset class="consent-choice">
      <legend class="small second">Choose what it may do; the rest is refused.</legend>
      {(asked.tools ?? []).map(({ name, title, readOnly }, index) => (
        <Check
          id={`tool-${index}`}
          name="tool"
          value={name}
          checked={chosen.includes(name)}
          hint={title !== null && title !== name ? title : undefined}
        >
          <code>{name}</code>
          {!readOnly && <span class="muted small">, writes</span>}
        </Check>
      ))}
      {others.map((action, index) => (
        <Check
          id={`other-${index}`}
          name="tool"
          value={action}
          checked={chosen.includes(action)}
        >
          {wordsOf(action)}
        </Check>
      ))}
    </fieldset>
  );
}

function wordsOf(action: string): Child {
  if (action === "prompt:*") return "All prompts";
  if (action === "resource:*") return "All resources";
  const [, kind, name] = /^(prompt|resource):(.*)$/s.exec(action) ?? [];
  return (
    <>
      {kind ? `The ${kind} ` : ""}
      <code>{name ?? action}</code>
    </>
  );
}

/** What it may do with a connection. */
function ConnectionGrant(props: ConsentPageProps & { title: string }) {
  const { asked, title, scope } = props;
  const tools = asked.tools ?? [];
  const writing = tools.filter(({ readOnly }) => !readOnly).length;
  const reading = tools.length - writing;
  const options: Option[] = [
    {
      scope: "all",
      text: "All of this connection",
      hint: "With its prompts and resources, and with tools that are added later.",
    },
    ...(reading > 0
      ? [{
        scope: "read" as const,
        text: "Read-only tools only",
        hint: `${plural(reading, "tool")} that ${title} says ${
          reading === 1 ? "changes" : "change"
        } nothing.`,
      }]
      : []),
    { scope: "chosen", text: "Only what I choose" },
  ];
  const note = writing === 0
    ? "None of them writes."
    : `${writing} of them ${writing === 1 ? "writes" : "write"}.`;
  return (
    <Grant
      title={tools.length === 0
        ? `Call the tools of ${title}`
        : `Call ${plural(tools.length, "tool")} of ${title}`}
      note={tools.length === 0 ? `${title} has not said yet which tools it has.` : note}
    >
      <Scopes legend="How much of it" options={options} scope={scope} />
      <ToolChoice {...props} />
    </Grant>
  );
}

/** What it may do with the mesh itself. */
function ManagementGrant(props: ConsentPageProps) {
  const { others, scope } = props;
  const options: Option[] = [
    {
      scope: "read",
      text: "Only look",
      hint: "Lists and details of connections, members, keys and the log.",
    },
    ...(others.length > 0
      ? [{
        scope: "chosen" as const,
        text: "Look, and do what I choose",
        hint: "What it asks for is listed below.",
      }]
      : []),
    { scope: "all", text: "Everything that you may do", hint: "Adding, changing and deleting included." },
  ];
  return (
    <Grant title="Look after Mesh itself" note="Connections, people, keys and the log of the organization.">
      <Scopes legend="How much of it" options={options} scope={scope} />
      {others.length > 0 && <ToolChoice {...props} />}
    </Grant>
  );
}

/** Asks whether an application may act for the person, and how far; nothing is given before they say so. */
export function ConsentPage(props: ConsentPageProps) {
  const { shell, asked, user, form } = props;
  const { client, organizations } = asked;
  const title = organizations[0]?.title ?? null;
  const heading = `${client.name} wants to connect`;
  return (
    <AuthLayout
      title={heading}
      shell={shell}
      foot={
        <>
          {"You can end this at any time under "}
          <a href={paths.applications}>Applications</a>.
        </>
      }
    >
      <h1>{heading}</h1>
      <Origin asked={asked} />
      <Form csrf={shell.csrf} class="stack consent">
        <input type="hidden" name="request" value={asked.requestId} />
        <FormMessage state={form} />
        <Organization {...props} />
        <section aria-labelledby="grants">
          <h2 id="grants">It will be able to</h2>
          <ul class="grants">
            {title === null ? <ManagementGrant {...props} /> : <ConnectionGrant {...props} title={title} />}
            <Grant
              title={`Act as you, ${user.name || user.email}`}
              note={`As ${user.email}, and never with more than you may do; every call is recorded.`}
            />
          </ul>
        </section>
        <Notice tone={client.unproven ? "warn" : "quiet"}>
          {client.unproven && "Any program on this computer could ask in this name. "}
          {`Only continue if you just started this yourself in ${client.name}.`}
        </Notice>
        <div class="row end">
          <Button name="answer" value="cancel">Cancel</Button>
          <Button kind="main" name="answer" value="allow">Allow</Button>
        </div>
      </Form>
    </AuthLayout>
  );
}

/** What is shown where a question cannot be answered any more. */
export function ConsentGonePage({ shell }: { shell: PublicShell }) {
  return (
    <AuthLayout title="This request has ended" shell={shell}>
      <h1>This request has ended</h1>
      <p class="lead">
        It was answered before, it waited for more than ten minutes, or another browser asked. Start again in
        the application.
      </p>
      <div class="row end">
        <ButtonLink kind="main" href={paths.applications}>Show my applications</ButtonLink>
      </div>
    </AuthLayout>
  );
}
