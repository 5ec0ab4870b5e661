import type { PublicShell } from "./types.ts";
import { ButtonLink } from "./components/button.tsx";
import { AuthLayout } from "./layout.tsx";
import { paths } from "./paths.ts";

export interface ErrorPageProps {
  shell: PublicShell;
  status: number;
  /** What happened in one sentence; without it the status speaks for itself. */
  message?: string | undefined;
  /** Names the request in the server's log. */
  requestId?: string | undefined;
}

const words: Record<number, { title: string; text: string }> = {
  400: { title: "That request was not understood", text: "Go back and try once more." },
  403: {
    title: "You may not do this",
    text: "Your role in this organization does not allow it. An owner or administrator can change that.",
  },
  404: {
    title: "There is no such page",
    text: "It may have been deleted, or it belongs to another organization of yours.",
  },
  409: {
    title: "Somebody was faster",
    text: "This changed in the meantime. Go back, reload, and try once more.",
  },
  429: { title: "Too many attempts", text: "Wait a minute, then try once more." },
  503: {
    title: "Mesh is not ready",
    text: "It is starting or its database does not answer. Try once more shortly.",
  },
};

const unknown = {
  title: "Something failed on the server",
  text: "It was recorded. Try once more; if it stays, give the request id to whoever runs this server.",
};

/** What a browser sees for an error status; the request id finds it in the log. */
export function ErrorPage({ shell, status, message, requestId }: ErrorPageProps) {
  const said = words[status] ?? unknown;
  return (
    <AuthLayout title={said.title} shell={shell}>
      <h1>{said.title}</h1>
      <p class="lead">{message ?? said.text}</p>
      <p class="small muted">
        {`Status ${status}`}
        {requestId && (
          <>
            {", request "}
            <code>{requestId}</code>
          </>
        )}
      </p>
      <div class="row end">
        <ButtonLink kind="main" href={paths.home}>Go to the start page</ButtonLink>
      </div>
    </AuthLayout>
  );
}
