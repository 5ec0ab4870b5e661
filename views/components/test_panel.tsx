import type { Connection, Health, TestResult, TestStage } from "../types.ts";
import { duration, plural, sentence } from "../format.ts";
import { Notice } from "./card.tsx";
import { Icon, type IconName } from "./icons.tsx";
import { Time } from "./time.tsx";

/** What a server does that passes a stage. */
const texts: Readonly<Record<string, string>> = {
  dns: "Its name is known",
  tcp: "It takes connections",
  tls: "It proves who it is (TLS)",
  http: "It answers over HTTP",
  auth_discovery: "It says where to sign in",
  token: "It accepts the credentials",
  handshake: "It speaks MCP",
  list: "It lists its tools",
};

type Mark = "passed" | "failed" | "skipped" | "untried";

const marks: Record<Mark, { icon: IconName; words: string }> = {
  passed: { icon: "check", words: "passed" },
  failed: { icon: "cross", words: "failed" },
  skipped: { icon: "minus", words: "not needed" },
  untried: { icon: "minus", words: "not tried" },
};

function markOf({ ok, skipped }: TestStage): Mark {
  if (skipped) return ok ? "skipped" : "untried";
  return ok ? "passed" : "failed";
}

/** Every stage of a test in order, with the time that it took. */
function Stages({ stages }: { stages: readonly TestStage[] }) {
  return (
    <ol class="stages">
      {stages.map((one) => {
        const mark = markOf(one);
        const { icon, words } = marks[mark];
        const said = mark === "passed" || mark === "failed";
        return (
          <li class={mark}>
            <Icon name={icon} />
            <span title={one.detail}>
              {texts[one.stage] ?? one.stage}
              <span class="hidden">{`: ${words}`}</span>
            </span>
            <span class="stage-note" aria-hidden={said ? undefined : "true"}>
              {said ? duration(one.ms) : words}
            </span>
          </li>
        );
      })}
    </ol>
  );
}

/** What a test found, in a sentence or two. */
function finding(test: TestResult): string {
  if (!test.healthy) {
    const reason = sentence(test.message ?? "The test failed without a reason");
    return test.advice ? `${reason} ${sentence(test.advice)}` : reason;
  }
  const facts = [
    `answered in ${duration(test.latencyMs)}`,
    test.protocolVersion ? `speaks MCP ${test.protocolVersion}` : "",
    test.tools === null || test.tools === undefined ? "" : `offers ${plural(test.tools, "tool")}`,
  ];
  const words = `The server ${facts.filter(Boolean).join(", ")}.`;
  return test.message ? `${words} ${sentence(test.message)}` : words;
}

function Tested({ test }: { test: TestResult }) {
  const { stages } = test;
  return (
    <section class="card tested" aria-label="Test">
      <Notice tone={test.healthy ? "good" : "bad"}>{finding(test)}</Notice>
      {stages && stages.length > 0 && <Stages stages={stages} />}
    </section>
  );
}

/** When the server was last asked and last answered, for one that does not. */
function Since({ health }: { health: Health }) {
  return (
    <>
      {" Checked "}
      <Time at={health.checked_at} />
      {", last answered "}
      <Time at={health.ok_at} />
      {"."}
    </>
  );
}

/** The result of a test by its stages; without one, the reason why the connection stands at `error`. */
export function TestPanel({ test, connection, health }: {
  test: TestResult | null | undefined;
  connection: Connection;
  health?: Health | null | undefined;
}) {
  const reason = connection.status === "error" ? connection.status_reason : null;
  return (
    <div id="test-panel" class="test-panel" data-say={test ? finding(test) : undefined}>
      {test && <Tested test={test} />}
      {!test && reason && (
        <Notice tone="bad">
          {sentence(reason)}
          {health && <Since health={health} />}
        </Notice>
      )}
      {!test && connection.status === "inactive" && (
        <Notice tone="quiet">
          This connection is off: calls to it are refused until it is switched on in its settings.
        </Notice>
      )}
    </div>
  );
}
