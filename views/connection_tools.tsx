import type { Tool } from "./types.ts";
import { Badge } from "./components/badge.tsx";
import { Button } from "./components/button.tsx";
import { Card, Notice } from "./components/card.tsx";
import { CodeBlock } from "./components/code.tsx";
import { NameSearch } from "./components/filters.tsx";
import { Form, TextAreaField } from "./components/form.tsx";
import { ToolInput } from "./components/tool_input.tsx";
import { ToolResult, type ToolResultProps } from "./components/tool_result.tsx";
import { ConnectionFrame, type ConnectionPageProps, NothingListed } from "./connection_frame.tsx";
import { paths } from "./paths.ts";
import { fieldsOf, type InputField } from "./schema_form.ts";

/**
 * What the tester holds. The form posts tool, mode, csrf, action (`run`, `as-form`, `as-json` or `curl`) and, by mode,
 * `arg.<property>` or json.
 */
export interface ToolTesterState {
  mode: "form" | "json";
  /** Entries of the form by control name; what is missing starts with the schema's default. */
  values?: Readonly<Record<string, string>> | undefined;
  /** The arguments as JSON text, for the mode `json`. */
  json?: string | undefined;
  /** By control name; `json` for the JSON text. */
  errors?: Readonly<Record<string, string>> | undefined;
  /** The call as a command, after `curl`. */
  curl?: string | undefined;
  result?: ToolResultProps | undefined;
}

export interface ConnectionToolsPageProps extends ConnectionPageProps {
  /** Null while the upstream has not said; only what the caller may use. */
  tools: readonly Tool[] | null;
  /** The tool that is open. */
  selected: Tool | null;
  tester?: ToolTesterState | undefined;
}

function ToolList({ connectionId, tools, selected }: {
  connectionId: string;
  tools: readonly Tool[];
  selected: Tool | null;
}) {
  return (
    <nav class="tool-list" aria-label="Tools">
      <NameSearch id="tool-search" list="tool-names" count={tools.length} noun="tool" />
      <ul id="tool-names">
        {tools.map((tool) => (
          <li>
            <a
              href={paths.connectionTool(connectionId, tool.name)}
              aria-current={tool.name === selected?.name ? "page" : undefined}
            >
              <b>{tool.name}</b>
              <small>{tool.title ?? tool.description ?? ""}</small>
            </a>
          </li>
        ))}
      </ul>
      <p id="tool-names-none" class="small muted" hidden>No tool matches.</p>
    </nav>
  );
}

function hintOf(tool: Tool, name: string): unknown {
  const { annotations } = tool;
  return typeof annotations === "object" && annotations !== null ? Reflect.get(annotations, name) : undefined;
}

/** Says what a tool's annotations promise; they are the server's own word. */
function Effect({ tool }: { tool: Tool }) {
  const readOnlyHint = hintOf(tool, "readOnlyHint");
  const destructiveHint = hintOf(tool, "destructiveHint");
  if (readOnlyHint === true) return <Badge tone="quiet">Reads</Badge>;
  if (destructiveHint === true) return <Badge tone="bad">Destroys</Badge>;
  return readOnlyHint === false || destructiveHint === false ? <Badge tone="warn">Writes</Badge> : null;
}

function Inputs({ fields, tester }: { fields: readonly InputField[] | null; tester: ToolTesterState }) {
  if (tester.mode === "json" || fields === null) {
    return (
      <TextAreaField
        name="json"
        label="Arguments as JSON"
        mono
        rows={10}
        value={tester.json ?? "{}"}
        error={tester.errors?.json}
        hint={fields === null ? "The schema of this tool cannot be shown as a form." : undefined}
      />
    );
  }
  if (fields.length === 0) return <p class="muted">This tool takes no arguments.</p>;
  return (
    <>
      {fields.map((field, index) => (
        <ToolInput
          id={`argument-${index}`}
          field={field}
          value={tester.values?.[field.name]}
          error={tester.errors?.[field.name]}
        />
      ))}
    </>
  );
}

function Tester({ page, tool }: { page: ConnectionToolsPageProps; tool: Tool }) {
  const { connection, shell } = page;
  const fields = fieldsOf(tool.inputSchema);
  const tester: ToolTesterState = page.tester ?? { mode: fields === null ? "json" : "form" };
  const asJson = tester.mode === "json" || fields === null;
  const text = tool.description ?? "";
  return (
    <div id="tester">
      <Card>
        <div class="tool-head">
          <div>
            <h2 class="tool-name">{tool.name}</h2>
            {tool.title && tool.title !== tool.name && <p>{tool.title}</p>}
            {text && <p class={text.length > 400 ? "tool-text long" : "tool-text"}>{text}</p>}
          </div>
          <Effect tool={tool} />
        </div>
        <Form
          csrf={shell.csrf}
          class="stack"
          action={`${paths.runTool(connection.id)}#result`}
          hx-post={paths.runTool(connection.id)}
          hx-target="#tester"
          hx-select="#tester"
          hx-swap="outerHTML"
          hx-sync="this:drop"
        >
          <input type="hidden" name="tool" value={tool.name} />
          <input type="hidden" name="mode" value={asJson ? "json" : "form"} />
          <Inputs fields={fields} tester={tester} />
          <div class="form-foot">
            <Button kind="main" id="run-tool" name="action" value="run">Run tool</Button>
            {fields !== null && (
              <Button id="switch-mode" name="action" value={asJson ? "as-form" : "as-json"} formnovalidate>
                {asJson ? "As form" : "As JSON"}
              </Button>
            )}
            <Button id="as-curl" name="action" value="curl" formnovalidate>Copy as curl</Button>
            <span class="small muted">Runs as you, through Mesh; it will be in the log.</span>
          </div>
        </Form>
      </Card>
      <div
        id="result"
        class="result"
        data-say={tester.curl ? "The call stands below as a command" : undefined}
      >
        {tester.curl && (
          <CodeBlock
            id="curl-text"
            label="Put a key in MESH_API_KEY, then run this in a shell"
            text={tester.curl}
          />
        )}
        {tester.result && <ToolResult {...tester.result} />}
      </div>
    </div>
  );
}

/** The tools of a connection with a form to try each. */
export function ConnectionToolsPage(props: ConnectionToolsPageProps) {
  const { tools, selected, connection } = props;
  return (
    <ConnectionFrame {...props} tab="tools">
      <div id="connection-lists">
        {tools === null || tools.length === 0
          ? <NothingListed page={props} things="tools" known={tools !== null} />
          : (
            <div class="tester">
              <ToolList connectionId={connection.id} tools={tools} selected={selected} />
              {selected
                ? <Tester page={props} tool={selected} />
                : <Notice tone="quiet">Choose a tool to see what it takes and to try it.</Notice>}
            </div>
          )}
      </div>
    </ConnectionFrame>
  );
}
