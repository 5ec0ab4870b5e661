import assert from "node:assert/strict";
import { describePlace, matches, problemOf, withAnswer } from "../../server/access/redirect_uris.ts";

Deno.test("what may be registered: https, this machine, an application's own scheme", () => { // AS13
  for (
    const uri of [
      "https://claude.ai/api/mcp/auth_callback",
      "https://chat.example:8443/api/mcp/server/oauth/callback?x=1", // Q-04d
      "https://client.example",
      ...["http://localhost/callback", "http://127.0.0.1:33418/", "http://[::1]:7777/oauth/callback"],
      ...["cursor://anysphere.cursor-mcp/oauth/callback", "com.example.app:/callback", "vscode://x/y"],
    ]
  ) assert.equal(problemOf(uri), null, uri);
  for (
    const uri of [
      ...["", " ", "/callback", "client.example/callback", "//client.example/x", "https://", "https:///x"],
      ...["http://client.example/callback", "http://192.168.1.5/callback", "http://localhost.evil.example/"],
      ...["http://127.0.0.1.evil.example/", "http://0.0.0.0/callback", "http://127.0.0.2/callback"],
      ...["https://client.example/#fragment", "https://client.example/#", "cursor://x/y#z"],
      ...["https://user@client.example/", "https://user:pass@client.example/", "https://@client.example/"],
      ...[
        "javascript:alert(1)",
        "JavaScript:alert(1)",
        "data:text/html,x",
        "file:///etc/passwd",
        "blob:https://x/y",
      ],
      ...[
        "vbscript:x",
        "about:blank",
        "ftp://x/y",
        "ws://x/y",
        "wss://x/y",
        "mailto:a@b.example",
        "view-source:x",
      ],
      ...[
        "https://*.client.example/callback",
        "https://client.example/a b",
        "https://client.example/\n",
        "\thttps://x/",
      ],
      ...[
        "https://client.example/<x>",
        'https://client.example/"',
        "https://client.example/\\x",
        "https://cliént.example/",
      ],
      ...["https://client.example/?code=1", "https://client.example/?state=x", "cursor://x/y?iss=z"], // AS16
      `https://client.example/${"x".repeat(2000)}`,
    ]
  ) assert.notEqual(problemOf(uri), null, uri);
});

Deno.test("an application of the web registers addresses of the web", () => { // AS40
  assert.equal(problemOf("https://client.example/cb", "web"), null);
  for (const uri of ["http://localhost/cb", "cursor://x/y", "https://localhost/cb"]) {
    assert.notEqual(problemOf(uri, "web"), null, uri);
    assert.equal(problemOf(uri, "native"), null, uri);
  }
});

Deno.test("an address is the registered one character by character, but for the port of this machine", () => { // AS11
  const same: [string, string][] = [
    ["https://client.example/callback", "https://client.example/callback"],
    ["http://localhost/callback", "http://localhost:3118/callback"],
    ["http://127.0.0.1/callback", "http://127.0.0.1:8080/callback"],
    ["http://127.0.0.1:33418/", "http://127.0.0.1:50000/"], // Q-04, Q-04b
    ["http://localhost:7777/oauth/callback", "http://localhost/oauth/callback"],
    ["http://[::1]/callback?x=1", "http://[::1]:1/callback?x=1"],
    ["cursor://anysphere.cursor-mcp/oauth/callback", "cursor://anysphere.cursor-mcp/oauth/callback"],
  ];
  for (const [registered, asked] of same) assert.ok(matches(registered, asked), asked);
  const different: [string, string][] = [
    ["https://client.example/callback", "https://client.example/callback/"],
    ["https://client.example/callback", "https://client.example/Callback"],
    ["https://client.example/callback", "https://CLIENT.example/callback"],
    ["https://client.example/callback", "https://client.example/callback?x=1"],
    ["https://client.example/callback", "https://client.example:443/callback"],
    ["https://client.example/callback", "https://client.example/%63allback"],
    ["https://client.example/callback", "https://client.example/x/../callback"],
    ["https://client.example/callback", "https://client.example.evil.example/callback"],
    ["https://client.example/callback", "http://client.example/callback"],
    ["http://localhost/callback", "http://127.0.0.1/callback"],
    ["http://localhost/callback", "http://localhost:3118/mcp/oauth/callback"], // Q-04b
    ["http://localhost/callback", "http://localhost:0/callback"],
    ["http://localhost/callback", "http://localhost:99999/callback"],
    ["http://localhost/callback", "http://localhost:80@evil.example/callback"],
    ["http://localhost/callback", "http://localhost.evil.example/callback"],
    ["http://localhost/callback", "https://localhost/callback"],
    ["http://localhost/callback", "http://LOCALHOST:1/callback"],
    ["cursor://anysphere.cursor-mcp/oauth/callback", "cursor://anysphere.cursor-mcp:1/oauth/callback"],
  ];
  for (const [registered, asked] of different) assert.equal(matches(registered, asked), false, asked);
});

Deno.test("an answer is added to an address, which stays as it is", () => { // AS16
  const answer = { code: "a b", state: "x&y=#", iss: "https://h.example", error: null };
  const tail = "code=a+b&state=x%26y%3D%23&iss=https%3A%2F%2Fh.example";
  for (
    const [uri, joint] of [["https://c.example/cb", "?"], ["https://c.example/cb?x=%20", "&"], [
      "app:/cb?",
      "",
    ]]
  ) {
    const url = withAnswer(uri as string, answer);
    assert.equal(url, `${uri}${joint}${tail}`);
    for (const name of ["code", "state", "iss"]) {
      assert.equal(new URL(url).searchParams.getAll(name).length, 1);
    }
  }
});

Deno.test("a person is told where an address leads", () => { // AS17
  const { host, kind, source } = describePlace("https://client.example:8443/cb");
  assert.deepEqual([host, kind, source], ["client.example:8443", "web", "https://client.example:8443"]);
  assert.equal(describePlace("http://127.0.0.1:1/").kind, "loopback");
  const app = describePlace("cursor://anysphere.cursor-mcp/oauth/callback");
  assert.deepEqual([app.host, app.kind, app.source], ["cursor:", "app", "cursor:"]);
});
