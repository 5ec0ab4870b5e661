import type { Connection, TestResult } from "../types.ts";
import { duration, plural } from "../format.ts";
import { Notice } from "./card.tsx";
import { Icon, type IconName } from "./icons.tsx";

/** The steps of a test in order, with the stages that end in each. */
const steps: { text: string; stages: readonly string[] }[] = [
  { text: "The address may be called and is known", stages: ["refused", "policy", "dns", "address"] },
  { text: "The server takes the connection", stages: ["tcp", "tls", "send"] },
  { text: "It answers over HTTP", stages: ["headers", "body", "http", "timeout", "aborted", "too_large"] },
  { text: "It accepts the credentials", stages: ["auth_discovery", "token", "credentials"] },
  { text: "It speaks MCP", stages: ["initialize", "discover", "handshake", "protocol"] },
  { text: "It lists its tools", stages: ["tools", "list", "lists"] },
];

type Mark = "passed" | "failed" | "untried";

const marks: Record<Mark, { icon: IconName; words: string }> = {
  passed: { icon: "check", words: "passed" },
  failed: { icon: "cross", words: "failed" },
  untried: { icon: "minus", words: "not tried" },
};

function Steps({ reached }: { reached: number }) {
  return (
    <ol class="stages">
      {steps.map(({ text }, index) => {
        const mark: Mark = index < reached ? "passed" : index === reached ? "failed" : "untried";
        return (
          <li class={mark}>
            <Icon name={marks[mark].icon} />
            <span>
              {text}
              <span class="hidden">{`: ${marks[mark].words}`}</span>
            </span>
          </li>
        );
      })}
    </ol>
  );
}

function Healthy({ test }: { test: TestResult }) {
  const facts = [
    `answered in ${duration(test.latencyMs)}`,
    test.protocolVersion ? `speaks MCP ${test.protocolVersion}` : "",
    test.tools === null || test.tools === undefined ? "" : `offers ${plural(test.tools, "tool")}`,
  ];
  return <Notice tone="good">{`The server ${facts.filter(Boolean).join(", ")}.`}</Notice>;
}

function Failed({ test }: { test: TestResult }) {
  const reached = steps.findIndex(({ stages }) => stages.includes(test.stage ?? ""));
  return (
    <section class="card test-failed" aria-label="Test">
      <Notice tone="bad">{test.message ?? "The test failed without a reason."}</Notice>
      {reached >= 0 && <Steps reached={reached} />}
      {reached < 0 && test.stage && <p class="small muted">{`Stage: ${test.stage}`}</p>}
    </section>
  );
}

/** The result of a test by its steps; without one, the reason why the connection stands at `error`. */
export function TestPanel(
  { test, connection }: { test: TestResult | null | undefined; connection: Connection },
) {
  const reason = connection.status === "error" ? connection.status_reason : null;
  return (
    <div id="test-panel" class="test-panel" aria-live="polite">
      {test ? (test.healthy ? <Healthy test={test} /> : <Failed test={test} />) : null}
      {!test && reason && <Notice tone="bad">{reason}</Notice>}
      {!test && connection.status === "inactive" && (
        <Notice tone="quiet">
          This connection is off: calls to it are refused until it is switched on in its settings.
        </Notice>
      )}
    </div>
  );
}
