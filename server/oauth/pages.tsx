import { ErrorPage } from "../../views/error.tsx";
import { LeavingPage } from "../../views/leaving.tsx";
import { themeOf, type VisitContext } from "../visit.ts";
import { describePlace } from "../access/redirect_uris.ts";

/** Shows the person why a request of an application leads nowhere; nothing of it is sent on. */
export async function showRefusal(
  c: VisitContext,
  { status, message }: { status: 400 | 500; message?: string },
): Promise<Response> {
  const shell = { csrf: "", theme: themeOf(c) };
  const requestId = c.get("requestId");
  return await c.html(
    <ErrorPage shell={shell} status={status} message={message} requestId={requestId} />,
    status,
  );
}

/**
 * Sends the browser back to the application. Where a form of ours led here (the sign-in), a redirect is not enough:
 * browsers hold the form's policy, `form-action 'self'`, against every address on the way, so a page leads on.
 */
export async function leave(c: VisitContext, url: string, clientName: string): Promise<Response> {
  c.header("cache-control", "no-store");
  if (!isFromOwnPage(c)) return c.redirect(url, 303); // AS18
  c.header("refresh", `0; url=${url}`);
  const shell = { csrf: "", theme: themeOf(c) };
  return await c.html(
    <LeavingPage shell={shell} url={url} host={describePlace(url).host} clientName={clientName} />,
  );
}

function isFromOwnPage(c: VisitContext): boolean {
  const site = c.req.header("sec-fetch-site");
  if (site !== undefined) return site === "same-origin";
  const referer = c.req.header("referer") ?? "";
  return URL.canParse(referer) && new URL(referer).host === c.req.header("host");
}
