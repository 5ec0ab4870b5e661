import type { PublicShell } from "./types.ts";
import { ButtonLink } from "./components/button.tsx";
import { AuthLayout } from "./layout.tsx";
import { paths, withQuery } from "./paths.ts";

export interface NotConnectedPageProps {
  shell: PublicShell;
  /** Why, in a sentence; without it nobody is signed in. */
  message?: string | undefined;
}

/** What a browser sees that comes back from a server's sign-in and is not connected. */
export function NotConnectedPage({ shell, message }: NotConnectedPageProps) {
  const title = "Nothing was connected";
  const signIn = withQuery(paths.signIn, { next: paths.myConnections });
  return (
    <AuthLayout title={title} shell={shell}>
      <h1>{title}</h1>
      <p class="lead">{message ?? "You are not signed in to Mesh in this browser."}</p>
      <p class="small muted">
        {message
          ? "Whatever was connected before is as it was. To try again, begin at your connections."
          : "Connecting has to end in the browser in which it began. Sign in, and begin again at your connections."}
      </p>
      <div class="row end">
        {message
          ? <ButtonLink kind="main" href={paths.myConnections}>My connections</ButtonLink>
          : <ButtonLink kind="main" href={signIn}>Sign in</ButtonLink>}
      </div>
    </AuthLayout>
  );
}
