import type { PublicShell } from "./types.ts";
import { ButtonLink } from "./components/button.tsx";
import { AuthLayout } from "./layout.tsx";

export interface LeavingPageProps {
  shell: PublicShell;
  /** An address that the application registered. */
  url: string;
  /** The host of it, or the scheme of an application's own. */
  host: string;
  clientName: string;
}

/** Leads back to an application; the browser goes there by itself, the link is for those that do not. */
export function LeavingPage({ shell, url, host, clientName }: LeavingPageProps) {
  return (
    <AuthLayout title={`Back to ${clientName}`} shell={shell}>
      <h1>{`Back to ${clientName}`}</h1>
      <p class="lead">
        {"You are being sent to "}
        <strong>{host}</strong>
        {"."}
      </p>
      <div class="row end">
        <ButtonLink kind="main" href={url}>Continue</ButtonLink>
      </div>
    </AuthLayout>
  );
}
