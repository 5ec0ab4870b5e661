import type { OutboundError } from "../outbound.ts";
import type { Failure, Stage } from "./failure.ts";

interface Words {
  /** What is wrong, after "cannot be reached (stage): ". */
  what: string;
  advice: string;
}

const networkWords: Readonly<Record<string, Words>> = {
  dns: {
    what: "the name of its host cannot be found",
    advice: "Check the host in the URL, and that it is known where the mesh runs",
  },
  connect: {
    what: "nothing accepts connections there",
    advice: "Check host and port in the URL, that the server runs, and that no firewall is between",
  },
  send: { what: "the request cannot be sent to it", advice: "Check the connection's headers" },
  headers: { what: "it did not answer in HTTP", advice: "Check the port, and what its log says about it" },
  body: { what: "its answer broke off", advice: "Look at what its log says about it" },
  timeout: { what: "it did not answer in time", advice: "Check that the server runs and is not overloaded" },
  too_large: { what: "its answer is too large", advice: "Check the URL; an MCP server answers with less" },
  aborted: { what: "the exchange was ended here", advice: "Try again" },
};

/** What a runtime says of a failed TLS handshake, what that means, and what to do. The first match counts. */
const tlsReasons: readonly [said: RegExp, code: string, words: Words][] = [
  [/certificate expired|CERT_HAS_EXPIRED/i, "tls_expired", {
    what: "its certificate has expired",
    advice: "Have the server's certificate renewed",
  }],
  [/not valid yet|CERT_NOT_YET_VALID/i, "tls_not_yet_valid", {
    what: "its certificate is not valid yet",
    advice: "Check the clocks of both machines",
  }],
  [/not valid for name|NotValidForName|ALTNAME_INVALID/i, "tls_wrong_host", {
    what: "its certificate is for another host",
    advice: "Use a host name that the certificate holds, or give the server a certificate for this one",
  }],
  [/CaUsedAsEndEntity|SELF_SIGNED/i, "tls_self_signed", {
    what: "its certificate is signed by itself",
    advice:
      "Give the server a certificate that an authority has signed; a private one can be trusted in the " +
      "connection's settings",
  }],
  [/UnknownIssuer|UNABLE_TO_GET/i, "tls_unknown_authority", {
    what: "its certificate is signed by itself, or by an authority that is not known here",
    advice:
      "Trust that authority's certificate in the connection's settings, or use one of a public authority",
  }],
  [/peer certificate|CERT_|UNABLE_TO_VERIFY/i, "tls_certificate", {
    what: "its certificate cannot be verified",
    advice: "Check that it has not expired and that its authority is trusted",
  }],
  [
    /alert: ?(CertificateRequired|BadCertificate|CertificateUnknown|UnknownCA)/i,
    "tls_client_certificate",
    {
      what: "it wants a client certificate that it knows",
      advice: "Add the client certificate and its key in the connection's settings",
    },
  ],
  [/corrupt message|InvalidContentType|WRONG_VERSION_NUMBER/i, "tls_not_spoken", {
    what: "it does not speak TLS at this port",
    advice: "Check the port, and whether http:// is meant",
  }],
];

const tlsFailed: Words = {
  what: "no secure connection can be made",
  advice: "Check that the server speaks TLS 1.2 or 1.3 at this port and knows this host name",
};

/** A failure of the network; `at` is the stage where that is known, `during` what was being done. */
export function networkFailure(
  error: OutboundError,
  { title, during, at }: { title: string; during: "handshake" | "list" | "call"; at?: Stage | undefined },
): Failure {
  const { stage } = error;
  if (stage === "refused") {
    return { stage: "tcp", code: "outbound_refused", message: error.message, advice: refusedAdvice(error) };
  }
  const tls = tlsReasonOf(error);
  if (tls !== null) return failure("tls", title, tls);
  if (stage === "dns") return failure("dns", title, { code: "dns", words: networkWords.dns });
  if (stage === "connect") return failure("tcp", title, { code: "tcp", words: networkWords.connect });
  return failure(at ?? (during === "handshake" ? "http" : during), title, {
    code: stage,
    words: networkWords[stage],
  });
}

function failure(
  stage: Stage,
  title: string,
  { code, words }: { code: string; words: Words | undefined },
): Failure {
  const what = words?.what ?? "the exchange ended";
  return {
    stage,
    code,
    message: `${title} cannot be reached (${stage}): ${what}`,
    advice: words?.advice ?? null,
  };
}

/** Why TLS failed; null where it did not. A server that wants a certificate may say so after the handshake. */
function tlsReasonOf(error: OutboundError): { code: string; words: Words } | null {
  const said = saidBy(error);
  const found = tlsReasons.find(([pattern]) => pattern.test(said));
  if (error.stage === "tls") {
    return found ? { code: found[1], words: found[2] } : { code: "tls", words: tlsFailed };
  }
  if (found?.[1] !== "tls_client_certificate") return null;
  return error.stage === "headers" || error.stage === "send" ? { code: found[1], words: found[2] } : null;
}

/** The messages and codes of an error's causes. */
function saidBy(error: OutboundError): string {
  const said: string[] = [];
  let cause: unknown = error.cause;
  for (let depth = 0; cause instanceof Error && depth < 4; depth++) {
    said.push(cause.message, "code" in cause ? String(cause.code) : "");
    cause = cause.cause;
  }
  return said.join(" ");
}

function refusedAdvice({ message }: OutboundError): string {
  return /list it in OUTBOUND_ALLOW/.test(message)
    ? "Where this address is meant, have it listed in OUTBOUND_ALLOW and the mesh started again"
    : "Use another URL";
}
