import { type ConsentAsked, ConsentGonePage, ConsentPage } from "../../views/consent.tsx";
import { LeavingPage } from "../../views/leaving.tsx";
import { publicShell, type Sample, type Say, wrong } from "./data.ts";

function askedOf(say: Say, more: Partial<ConsentAsked> = {}): ConsentAsked {
  const tool = (name: string, readOnly: boolean, title: string | null = null) => ({
    name: say(name),
    title: title === null ? null : say(title),
    readOnly,
  });
  return {
    requestId: say("ask_1"),
    client: { name: say("Claude Code"), source: "document", host: say("claude.ai"), unproven: true },
    redirect: { host: say("localhost:3118"), kind: "loopback" },
    organizations: [{ id: say("org_1"), name: say("Northwind"), title: say("Linear") }],
    tools: [
      tool("list_issues", true, "Find issues by filter"),
      tool("get_issue", true),
      tool("create_issue", false),
    ],
    ...more,
  };
}

/** What applications and those who let them in see. */
export function consents(say: Say): Sample[] {
  const shell = publicShell(say);
  const user = { name: say("Ann Larsen"), email: say("ann@northwind.example") };
  const usual = { shell, user, organizationId: say("org_1"), others: ["prompt:*", "resource:*"] };
  const client = { name: say("Acme Agent"), source: "dynamic" as const, host: null, unproven: false };
  const mesh = askedOf(say, {
    client,
    redirect: { host: say("agent.example"), kind: "web" },
    organizations: [
      { id: say("org_1"), name: say("Northwind"), title: null },
      { id: say("org_2"), name: say("Fabrikam"), title: null },
    ],
    tools: null,
  });
  const unknown = askedOf(say, {
    client: { ...client, source: "manual" },
    redirect: { host: say("cursor:"), kind: "app" },
    tools: null,
  });
  const others = [...usual.others, say("prompt:summary"), say("list_gone")];
  return [
    { name: "consent", page: <ConsentPage {...usual} asked={askedOf(say)} scope="all" chosen={[]} /> },
    {
      name: "consent-chosen",
      page: (
        <ConsentPage
          {...usual}
          asked={askedOf(say)}
          scope="chosen"
          chosen={[say("list_issues")]}
          others={others}
          form={wrong(say)}
        />
      ),
    },
    {
      name: "consent-mesh",
      page: <ConsentPage {...usual} asked={mesh} scope="read" chosen={[]} others={[]} />,
    },
    {
      name: "consent-mesh-step",
      page: (
        <ConsentPage
          {...usual}
          asked={mesh}
          scope="chosen"
          chosen={[say("API_KEY_CREATE")]}
          others={[say("API_KEY_CREATE")]}
          form={wrong(say, "organizationId")}
        />
      ),
    },
    { name: "consent-unknown", page: <ConsentPage {...usual} asked={unknown} scope="all" chosen={[]} /> },
    { name: "consent-gone", page: <ConsentGonePage shell={shell} /> },
    {
      name: "leaving",
      page: (
        <LeavingPage
          shell={shell}
          url="/?code=1"
          host={say("agent.example")}
          clientName={say("Agent")}
        />
      ),
    },
  ];
}
