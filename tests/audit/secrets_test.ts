import assert from "node:assert/strict";
import { redactText } from "../../server/audit/redact.ts";
import { isHarmless, namesSecret, suspicious } from "../../server/audit/secrets.ts";

// Nothing here may look like a secret to those who scan repositories, so every one is put together at run time.
const run = (length: number) => "a1B2c3D4e5F6g7H8".repeat(9).slice(0, length);
const upper = (length: number) => "A1B2C3D4E5F6G7H8".repeat(9).slice(0, length);
const made = {
  meshKey: "mesh" + "_key_" + run(43),
  meshAccess: "mesh" + "_at_" + run(43),
  meshRefresh: "mesh" + "_rt_" + run(43),
  openai: "sk" + "-" + run(40),
  openaiProject: "sk" + "-proj-" + run(40),
  anthropic: "sk" + "-ant-" + run(40),
  stripe: "sk" + "_live_" + run(24),
  stripeRestricted: "rk" + "_live_" + run(24),
  stripeHook: "wh" + "sec_" + run(32),
  github: "gh" + "p_" + run(36),
  githubOauth: "gh" + "o_" + run(36),
  githubServer: "gh" + "s_" + run(36),
  githubFine: "github" + "_pat_" + run(60),
  gitlab: "glp" + "at-" + run(20),
  slackBot: "xo" + "xb-123-456-" + run(24),
  slackUser: "xo" + "xp-123-456-" + run(24),
  slackApp: "xa" + "pp-1-" + run(24),
  aws: "AK" + "IA" + upper(16),
  awsSession: "AS" + "IA" + upper(16),
  google: "AI" + "za" + run(35),
  googleOauth: "ya" + "29." + run(40),
  npm: "np" + "m_" + run(36),
  huggingface: "hf" + "_" + run(34),
  sendgrid: "SG" + "." + run(22) + "." + run(43),
  jwt: ["ey" + "J" + run(20), "ey" + "J" + run(40), run(43)].join("."),
  jwtUnsigned: ["ey" + "J" + run(20), "ey" + "J" + run(40), ""].join("."),
};

Deno.test("secrets: tokens of known makers are replaced wherever they stand", () => {
  for (const [maker, token] of Object.entries(made)) {
    const surroundings: [string, string][] = [
      [token, "***"],
      [`a ${token} b`, "a *** b"],
      [`(${token})`, "(***)"],
      [`/path/${token}/x`, "/path/***/x"],
      [`"${token}","${token}"`, '"***","***"'],
      [`\\"${token}\\"`, '\\"***\\"'],
      [`the id=${token}\nnext`, "the id=***\nnext"],
      [`Ünd ${token}, 😀`, "Ünd ***, 😀"],
    ];
    for (const [text, expected] of surroundings) assert.equal(redactText(text), expected, maker);
  }
});

const secretNames = (
  "password Password userPassword user_password PASSWORD DB_PASSWORD PGPASSWORD passwd passphrase passcode pwd " +
  "secret client_secret clientSecret SECRET appSecret secret_value secrets token accessToken access_token " +
  "refresh_token refreshToken id_token idToken auth_token authToken connection_token GITHUB_TOKEN botToken tokens " +
  "sessionToken session_token csrfToken api_key apiKey apikey API_KEY OPENAI_API_KEY x-api-key X-Api-Key apiKeys " +
  "access_key accessKey AWS_SECRET_ACCESS_KEY private_key privateKey ssh_key signing_key encryptionKey master_key " +
  "authorization Authorization proxy-authorization cookie Cookie cookies set-cookie Set-Cookie credential " +
  "credentials db.credentials awsCredentials creds jwt JWT bearer otp totp secret_id service_key accesstoken " +
  "clientsecret privatekey X-Auth-Token x-amz-security-token secret_key secretKey tokenList secret_list apiKeyList"
).split(" ");

const ordinaryNames = (
  "name title key keys keyId key_id api_key_id token_id user id primaryKey foreign_key publicKey keyboard monkey " +
  "token_type tokenType token_count tokenCount token_endpoint token_limit tokenizer passport compass bypass " +
  "password_policy passwordHint secretary secret_name cookie_policy cookieName author authors authored " +
  "nextPageToken next_token page_token pageToken continuationToken progressToken token_usage auth_method " +
  "authorization_endpoint authorization_server authorization_servers authorization_url expires_in signature headers env q query text content data url"
).split(" ");

Deno.test("secrets: names are told apart by their words", () => {
  for (const name of secretNames) assert.equal(namesSecret(name), true, name);
  for (const name of ordinaryNames) assert.equal(namesSecret(name), false, name);
  for (const name of ["", "_", "-".repeat(200), "password".repeat(100)]) {
    assert.equal(namesSecret(name), false);
  }
});

Deno.test("secrets: what says something about a secret is none", () => {
  assert.equal(isHarmless("has_token", true), true);
  assert.equal(isHarmless("max_tokens", 100), true);
  assert.equal(isHarmless("token", 123456), false);
  assert.equal(isHarmless("password", "true"), false);
});

const opaque = "h" + "unter2";

Deno.test("secrets: a value behind a secret's name is replaced in text of any notation", () => {
  const cases: [string, string][] = [
    [`password=${opaque}`, "password=***"],
    [`password: ${opaque} and more`, "password: *** and more"],
    [`DB_PASSWORD=${opaque} PORT=1`, "DB_PASSWORD=*** PORT=1"],
    [`{"password":"${opaque}"}`, '{"password":"***"}'],
    [`{"password": "a b\\"c, d" , "x":1}`, '{"password": "***" , "x":1}'],
    [`{'api_key': '${opaque} x'}`, "{'api_key': '***'}"],
    [`{\\"client_secret\\":\\"${opaque}\\",\\"x\\":1}`, '{\\"client_secret\\":\\"***\\",\\"x\\":1}'],
    [`{\\\\"token\\\\":\\\\"${opaque}\\\\"}`, '{\\\\"token\\\\":\\\\"***\\\\"}'],
    [`{"text":"password=${opaque}&x=1"}`, '{"text":"password=***&x=1"}'],
    [`{"a":{"b":{"secret":"${opaque}"}},"c":"d"}`, '{"a":{"b":{"secret":"***"}},"c":"d"}'],
    [`note: the token = ${opaque}; done`, "note: the token = ***; done"],
    [`{"password":12345678}`, '{"password":***}'],
    [`{"password":"unfinished ${opaque}`, '{"password":"***'],
    [`apiKey:${opaque},apiSecret:${opaque}`, "apiKey:***,apiSecret:***"],
    [`--token=${opaque} --verbose`, "--token=*** --verbose"],
    [`export GITHUB_TOKEN='${opaque}'`, "export GITHUB_TOKEN='***'"],
  ];
  for (const [text, expected] of cases) assert.equal(redactText(text), expected);
});

Deno.test("secrets: header lines are replaced whole", () => {
  const basic = btoa(`ada:${opaque}`);
  const cases: [string, string][] = [
    [`Authorization: Bearer ${opaque}`, "Authorization: ***"],
    [`authorization: ${opaque} with more words\nHost: x`, "authorization: ***\nHost: x"],
    [`Proxy-Authorization: Basic ${basic}`, "Proxy-Authorization: ***"],
    [`Cookie: a=${opaque}; b=2\r\nAccept: */*`, "Cookie: ***\r\nAccept: */*"],
    [`Set-Cookie: sid=${opaque}; HttpOnly`, "Set-Cookie: ***"],
    [
      `curl -H "Authorization: Bearer ${opaque}" https://x.example`,
      'curl -H "Authorization: ***" https://x.example',
    ],
    [`{"Authorization":"Bearer ${opaque}","x":1}`, '{"Authorization":"***","x":1}'],
    [`sent Bearer ${opaque}.`, "sent Bearer ***"],
    [`bearer ${opaque}, then`, "bearer ***, then"],
    [`Basic ${basic} was refused`, "Basic *** was refused"],
  ];
  for (const [text, expected] of cases) assert.equal(redactText(text), expected);
});

Deno.test("secrets: what a URL carries is replaced, the URL is kept", () => {
  const cases: [string, string][] = [
    [`https://ada:${opaque}@x.example/a`, "https://ada:***@x.example/a"],
    [`postgres://mesh:${opaque}@db:5432/mesh and`, "postgres://mesh:***@db:5432/mesh and"],
    [`redis://:${opaque}@cache`, "redis://:***@cache"],
    [`https://ada:p@ss:${opaque}@x.example`, "https://ada:***@x.example"],
    [
      `https://x.example/cb?code=${opaque}&state=${opaque}&a=1`,
      "https://x.example/cb?code=***&state=***&a=1",
    ],
    [`https://x.example/?a=1&access_token=${opaque}#top`, "https://x.example/?a=1&access_token=***#top"],
    [`https://x.example/#id_token=${opaque}&a=b`, "https://x.example/#id_token=***&a=b"],
    [`/files?X-Amz-Signature=${opaque}&X-Amz-Date=1`, "/files?X-Amz-Signature=***&X-Amz-Date=1"],
    [`/maps?key=${opaque}&q=a`, "/maps?key=***&q=a"],
    [`/blob?sv=1&sig=${opaque}`, "/blob?sv=1&sig=***"],
    [`"url":"https://x.example/?api_key=${opaque}"`, '"url":"https://x.example/?api_key=***"'],
  ];
  for (const [text, expected] of cases) assert.equal(redactText(text), expected);
});

Deno.test("secrets: private keys are replaced, ended or not", () => {
  for (const kind of ["", "RSA ", "EC ", "OPENSSH ", "ENCRYPTED "]) {
    const key = `-----BEGIN ${kind}PRIVATE` + ` KEY-----\n${run(64)}\n${run(64)}\n-----END ${kind}PRIVATE` +
      " KEY-----";
    assert.equal(redactText(`a\n${key}\nb ${key} c`), "a\n[private key]\nb [private key] c");
    assert.equal(redactText(JSON.stringify({ pem: key })), '{"pem":"[private key]"}');
    assert.equal(redactText(`a ${key.slice(0, 100)}`), "a [private key]");
  }
  const open = `-----BEGIN CERTIFICATE-----\n${run(64)}\n-----END CERTIFICATE-----`;
  assert.equal(redactText(open), open);
});

const ordinaryTexts = [
  "",
  "A task-list for the risk-averse: ask-me-anything",
  "The tokenizer counts tokens; the secretary keeps the keys to the monkey house",
  "Bearer authentication and basic authorization are methods; use Bearer tokens",
  "WWW-Authenticate: Bearer realm=mesh",
  "Basic usage, basic information, Basic Auth",
  '{"has_token":true,"max_tokens":100,"token_type":"bearer","secret":null,"password":""}',
  "https://x.example/a?q=keys&page=2#section",
  "https://ada@x.example/a and git@x.example:a/b.git",
  "mail ada@example.com, see https://x.example/@ada/1",
  "eyJust a word, and ey" + "J" + "0eXAiOiJ without a second part",
  "npm_config and hf_home and sk- and gh_ and xoxo",
  "The password was changed. Cookies are needed",
  "Asia and Akita",
  "12:30 a: b, c = d",
];

Deno.test("secrets: ordinary text stays as it is", () => {
  for (const text of ordinaryTexts) assert.equal(redactText(text), text);
});

Deno.test("secrets: replacing again changes nothing", () => {
  const all = Object.values(made).join(" ") +
    ` password=${opaque} Authorization: Basic x\nhttps://a:${opaque}@b?code=1`;
  const once = redactText(all);
  assert.equal(redactText(once), once);
});

Deno.test("secrets: the first look overlooks nothing that would be replaced", () => {
  for (const token of Object.values(made)) assert.ok(suspicious.test(token), token);
  for (const name of secretNames) assert.ok(suspicious.test(JSON.stringify({ [name]: 1 })), name);
  for (const name of "key sig signature code sid auth session state".split(" ")) {
    assert.ok(suspicious.test(`/?${name}=1`), name);
  }
});

Deno.test("secrets: hostile text of a megabyte is done with", () => {
  const million = 1_000_000;
  const pieces = [
    "ey" + "J",
    "ey" + "J.",
    "ey" + "Jaaaaaa.",
    "a",
    "A-",
    "-",
    "://",
    "://a:",
    "://a:b",
    "://:",
    "?a=",
    "?",
    "?a",
    "&key",
    "=",
    ":",
    "a:",
    'a:"',
    "a:'",
    "token:",
    'token:"',
    'token:\\"',
    'token:"\\',
    "\\",
    '\\"',
    '"',
    " ",
    "\t",
    "\n",
    "Bearer ",
    "bearer",
    "Basic ",
    "Basic a",
    "authorization",
    "authorization:",
    "cookie= ",
    "-----BEGIN ",
    "-----BEGIN PRIVATE",
    "-----BEGIN PRIVATE" + " KEY-----",
    "-----END",
    "sk" + "-",
    "mesh" + "_key_",
    "gh" + "p_",
    "xo" + "x",
    "SG.",
    "a1-",
    "é",
    "😀",
    "%",
    "[",
    "api_key",
    "password ",
    "password  :  ",
    "data:;base64,",
    "a=b;",
  ];
  for (const piece of pieces) {
    const text = piece.repeat(Math.ceil(million / piece.length));
    const part = text.slice(0, million / 10);
    for (const hostile of [`token ${text}`, part, `${part}@`, `password:"${part}`, `${piece} ${part}`]) {
      assert.ok(redactText(hostile).length <= hostile.length * 4, JSON.stringify(piece));
    }
  }
});
