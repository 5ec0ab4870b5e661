import { ErrorPage } from "../../views/error.tsx";
import { AppError, httpStatus } from "../errors.ts";
import { describeError, type Log } from "../log.ts";
import { themeOf, type VisitContext } from "../visit.ts";

/** What a path is answered that leads nowhere: JSON for machines, a page for browsers. */
export async function showNotFound(c: VisitContext): Promise<Response> {
  const message = "Cannot find anything at this path";
  return await answerFailure(c, { status: 404, code: "not_found", message });
}

/** What is answered after anything thrown; what was not expected says nothing of itself, and the log has its cause. */
export async function showError(c: VisitContext, error: unknown, log: Log): Promise<Response> {
  if (!(error instanceof AppError)) {
    log.error("request failed", {
      requestId: c.get("requestId"),
      path: c.req.path,
      error: describeError(error),
    });
    return await answerFailure(c, { status: 500, code: "internal", message: "Internal error" });
  }
  const { code, message, fields, retryAfterSeconds } = error;
  if (retryAfterSeconds !== undefined) c.header("retry-after", String(retryAfterSeconds));
  // Of a role that does not suffice the page has better words than the permission's name.
  const words = code === "not_found" || (code === "forbidden" && !fields) ? undefined : message;
  return await answerFailure(c, { status: httpStatus[code], code, message, words });
}

interface Failure {
  status: typeof httpStatus[keyof typeof httpStatus] | 500;
  code: string;
  message: string;
  /** What a person reads; without it the page's own words for the status. */
  words?: string | undefined;
}

async function answerFailure(c: VisitContext, { status, code, message, words }: Failure): Promise<Response> {
  const requestId = c.get("requestId");
  if (isForMachine(c)) return c.json({ code, message, ...(status === 500 && { requestId }) }, status);
  if (c.req.header("hx-request") === "true") {
    // The part that was asked for is not in the answer: the words take the place of the page's content.
    for (const [name, value] of Object.entries(intoMain)) c.header(name, value);
  }
  const shell = { csrf: "", theme: themeOf(c) };
  return await c.html(
    <ErrorPage shell={shell} status={status} message={words} requestId={requestId} />,
    status,
  );
}

const intoMain = { "hx-retarget": "#main", "hx-reselect": "#main", "hx-reswap": "outerHTML" };

/** True for paths that only programs use, and for those who do not ask for HTML. */
function isForMachine(c: VisitContext): boolean {
  if (/^\/(mcp|api|\.well-known)(\/|$)/.test(c.req.path)) return true;
  return c.req.header("hx-request") !== "true" && !c.req.header("accept")?.includes("text/html");
}
