import { bytes, count, duration } from "../format.ts";
import { paths } from "../paths.ts";
import { Notice } from "./card.tsx";
import { Json } from "./code.tsx";

/** What came back from a call of a tool. */
export interface ToolResultProps {
  /** HTTP status of the answer. */
  status: number;
  durationMs: number;
  /** Size of the answer. */
  bytes: number;
  /** Id of the log row. */
  logId?: string | null | undefined;
  /** The call itself failed: what happened, in a sentence. */
  error?: string | undefined;
  /** The result of `tools/call` as the server gave it: nothing in it is trusted. */
  result?: {
    content?: unknown;
    structuredContent?: unknown;
    isError?: unknown;
  } | undefined;
}

type Block = Record<string, unknown>;

const MAX_TEXT = 200_000;
const MAX_BLOCKS = 100;

function textOf(value: unknown): string {
  return typeof value === "string" ? value : "";
}

function Text({ text }: { text: string }) {
  return (
    <div class="code">
      <pre
        class="wrap"
        tabindex={0}
      ><code>{text.length > MAX_TEXT ? `${text.slice(0, MAX_TEXT)}\n… (cut)` : text}</code></pre>
    </div>
  );
}

/** Gives a `data:` address for base64 of the wanted kind of media, null for anything else. */
function dataUrl(block: Block, kind: "image" | "audio"): string | null {
  const mime = textOf(block.mimeType);
  const data = textOf(block.data).replace(/\s+/g, "");
  if (!new RegExp(`^${kind}/[a-z0-9.+-]+$`, "i").test(mime) || !/^[A-Za-z0-9+/]+={0,2}$/.test(data)) {
    return null;
  }
  return `data:${mime};base64,${data}`;
}

// JSON in a text block is the usual answer of older servers; it is easier to read indented.
function jsonIn(text: string): unknown {
  if (!/^\s*[[{]/.test(text) || text.length > MAX_TEXT) return undefined;
  try {
    return JSON.parse(text);
  } catch {
    // Text that only begins like JSON is shown as it is.
    return undefined;
  }
}

function Content({ block, index }: { block: Block; index: number }) {
  const size = bytes(Math.floor(textOf(block.data).length * 3 / 4));
  switch (block.type) {
    case "text": {
      if (typeof block.text !== "string") return <Json value={block} />;
      const text = block.text;
      const value = jsonIn(text);
      return value === undefined ? <Text text={text} /> : <Json value={value} id={`result-${index}`} />;
    }
    case "image": {
      const url = dataUrl(block, "image");
      return url
        ? <img src={url} alt={`Image of the result, ${textOf(block.mimeType)}`} />
        : <Json value={block} />;
    }
    case "audio": {
      const url = dataUrl(block, "audio");
      if (!url) return <Json value={block} />;
      return (
        <p>
          <a href={url} download={`result-${index}`}>
            {`Download audio (${textOf(block.mimeType)}, ${size})`}
          </a>
        </p>
      );
    }
    case "resource_link":
      return (
        <p>
          {"Resource: "}
          <span class="mono">{textOf(block.uri)}</span>
          {textOf(block.name) && ` (${textOf(block.name)})`}
        </p>
      );
    case "resource":
      return <Embedded resource={block.resource} />;
    default:
      return <Json value={block} />;
  }
}

function Embedded({ resource }: { resource: unknown }) {
  const inner: Block = isBlock(resource) ? resource : {};
  return (
    <>
      <p class="small muted">
        {"Resource "}
        <span class="mono">{textOf(inner.uri)}</span>
      </p>
      {typeof inner.text === "string" ? <Text text={inner.text} /> : <Json value={resource} />}
    </>
  );
}

function isBlock(value: unknown): value is Block {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** The result of a tool: its content, its structured content, and where the log has it. */
export function ToolResult({ status, durationMs, bytes: size, logId, error, result }: ToolResultProps) {
  const content = Array.isArray(result?.content) ? result.content.filter(isBlock) : [];
  const structured = result?.structuredContent;
  const same = structured !== undefined && content.length === 1 && content[0]?.type === "text" &&
    JSON.stringify(jsonIn(textOf(content[0].text))) === JSON.stringify(structured);
  return (
    <section
      aria-label="Result"
      data-say={error ??
        (result?.isError === true ? "The tool says that it failed" : `Result in ${duration(durationMs)}`)}
    >
      <div class="result-head">
        <h2>Result</h2>
        <p class="small">
          {`${status} in ${duration(durationMs)} · ${bytes(size)}`}
          {logId && (
            <>
              {" · "}
              <a href={paths.log(logId)}>open in log</a>
            </>
          )}
        </p>
      </div>
      <div class="stack">
        {error && <Notice tone="bad">{error}</Notice>}
        {result?.isError === true && (
          <Notice tone="bad">The tool says that it failed. This is its answer:</Notice>
        )}
        {!same &&
          content.slice(0, MAX_BLOCKS).map((block, index) => (
            <Content key={index} block={block} index={index} />
          ))}
        {content.length > MAX_BLOCKS && (
          <p class="muted">{`And ${count(content.length - MAX_BLOCKS)} more parts, which are not shown`}</p>
        )}
        {structured !== undefined && (
          <div>
            {!same && content.length > 0 && <h3 class="small">Structured content</h3>}
            <Json value={structured} id="result-structured" />
          </div>
        )}
        {result && content.length === 0 && structured === undefined && (
          <p class="muted">The tool answered without content.</p>
        )}
      </div>
    </section>
  );
}
