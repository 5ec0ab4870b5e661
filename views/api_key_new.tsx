import type { FormState, Shell } from "./types.ts";
import { Button, ButtonLink } from "./components/button.tsx";
import { Card, PageHead } from "./components/card.tsx";
import { NameSearch } from "./components/filters.tsx";
import {
  Check,
  type Choice,
  entered,
  Form,
  FormMessage,
  SelectField,
  TextField,
} from "./components/form.tsx";
import { plural } from "./format.ts";
import { Layout } from "./layout.tsx";
import { paths } from "./paths.ts";

/** A connection that a key may be made for, with the names of its tools. */
export interface KeyConnection {
  id: string;
  title: string;
  /** Tells those of one title apart. */
  address: string;
  tools: readonly string[];
}

/**
 * Posts to /api-keys: name, scope (`all`, `selected`, `none`), connection (repeated ids, for `selected`),
 * `tool.<connection id>` (repeated names; none means all), management (`none`, `read`, `all`) and expires_days (empty
 * for never).
 */
export interface NewApiKeyPageProps {
  shell: Shell;
  connections: readonly KeyConnection[];
  /** What was chosen before, after a refusal. */
  chosen?: {
    connections: readonly string[];
    tools: Readonly<Record<string, readonly string[]>>;
  } | undefined;
  form?: FormState;
}

const expiries: readonly Choice[] = [
  { value: "", text: "never" },
  { value: "1", text: "in a day" },
  { value: "7", text: "in 7 days" },
  { value: "30", text: "in 30 days" },
  { value: "90", text: "in 90 days" },
  { value: "365", text: "in a year" },
];

interface Option {
  value: string;
  text: string;
  hint: string;
}

const scopes: readonly Option[] = [
  { value: "all", text: "Every connection", hint: "Those that are added later too." },
  {
    value: "selected",
    text: "Only the connections chosen below",
    hint: "All tools of each, or some of them.",
  },
  { value: "none", text: "No connection", hint: "For managing Mesh only." },
];

const managements: readonly Option[] = [
  { value: "none", text: "Nothing", hint: "The key cannot look at Mesh itself." },
  { value: "read", text: "Read only", hint: "Lists and details of connections, members and the log." },
  { value: "all", text: "Everything that I may do", hint: "Adding, changing and deleting included." },
];

function Options({ legend, name, options, value, error }: {
  legend: string;
  name: string;
  options: readonly Option[];
  value: string;
  error: string | undefined;
}) {
  return (
    <fieldset
      aria-describedby={error ? `${name}-error` : undefined}
      data-invalid={error ? "" : undefined}
    >
      <legend>{legend}</legend>
      {options.map((option) => (
        <Check
          type="radio"
          id={`${name}-${option.value}`}
          name={name}
          value={option.value}
          checked={option.value === value}
          hint={option.hint}
        >
          {option.text}
        </Check>
      ))}
      {error && <p class="field-error" id={`${name}-error`}>{error}</p>}
    </fieldset>
  );
}

function ConnectionChoice({ connection, index, chosen }: {
  connection: KeyConnection;
  index: number;
  chosen: NewApiKeyPageProps["chosen"];
}) {
  const tools = chosen?.tools[connection.id] ?? [];
  return (
    <li>
      <Check
        id={`connection-${index}`}
        name="connection"
        value={connection.id}
        checked={chosen?.connections.includes(connection.id) ?? false}
        hint={<span class="mono">{connection.address}</span>}
      >
        {connection.title}
      </Check>
      {connection.tools.length > 0 && (
        <details class="fold tools-fold" open={tools.length > 0}>
          <summary>{`Only some of its ${plural(connection.tools.length, "tool")}`}</summary>
          <div class="tools-choice">
            {connection.tools.map((tool, at) => (
              <Check
                id={`tool-${index}-${at}`}
                name={`tool.${connection.id}`}
                value={tool}
                checked={tools.includes(tool)}
              >
                <code>{tool}</code>
              </Check>
            ))}
          </div>
        </details>
      )}
    </li>
  );
}

const searchFrom = 10; // connections

function ConnectionChoices({ connections, chosen }: Pick<NewApiKeyPageProps, "connections" | "chosen">) {
  return (
    <div class="stack">
      {connections.length >= searchFrom && (
        <NameSearch
          id="connection-search"
          list="connection-choices"
          count={connections.length}
          noun="connection"
        />
      )}
      <ul class="connection-choice" id="connection-choices" aria-label="Connections to choose from">
        {connections.map((connection, index) => (
          <ConnectionChoice key={connection.id} connection={connection} index={index} chosen={chosen} />
        ))}
      </ul>
      <p id="connection-choices-none" class="small muted" hidden>No connection matches.</p>
    </div>
  );
}

/** A new API key: its name, what it may call, what it may manage, when it ends. */
export function NewApiKeyPage({ shell, connections, chosen, form }: NewApiKeyPageProps) {
  const values = form?.values ?? {};
  return (
    <Layout title="New API key" shell={shell} place="api-keys">
      <PageHead title="New API key" lead="It never can do more than you can, now or later." />
      <Form csrf={shell.csrf} action={paths.apiKeys} class="stack narrow">
        <FormMessage state={form} />
        <Card class="stack">
          <TextField
            {...entered(form, "name")}
            label="Name"
            autocomplete="off"
            hint="Who or what uses it; the log shows this name."
            placeholder="Claude Code on my laptop"
            required
            autofocus
          />
          <SelectField {...entered(form, "expires_days")} label="Expires" choices={expiries} />
        </Card>
        <Card title="What it may call" class="stack">
          <Options
            legend="Connections"
            name="scope"
            options={scopes}
            value={values.scope ?? "selected"}
            error={form?.errors?.scope}
          />
          {connections.length > 0
            ? <ConnectionChoices connections={connections} chosen={chosen} />
            : <p class="second">There is no connection yet.</p>}
        </Card>
        <Card title="What it may manage">
          <Options
            legend="Mesh itself, over its own MCP address"
            name="management"
            options={managements}
            value={values.management ?? "none"}
            error={form?.errors?.management}
          />
        </Card>
        <div class="row end">
          <ButtonLink href={paths.apiKeys}>Cancel</ButtonLink>
          <Button kind="main">Make the key</Button>
        </div>
      </Form>
    </Layout>
  );
}
