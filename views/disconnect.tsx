import type { FormState, Shell } from "./types.ts";
import { ConfirmPage } from "./confirm.tsx";
import type { Credential } from "./credential_words.ts";
import { paths } from "./paths.ts";

export interface DisconnectPageProps {
  shell: Shell;
  item: Pick<Credential, "connection_id" | "title" | "type" | "shared">;
  form?: FormState | undefined;
}

/** What ending a credential destroys. */
export function destroyedWords({ title, type }: Pick<Credential, "title" | "type">): string {
  return type === "oauth"
    ? `Mesh asks ${title} to end the access, and destroys its own copy.`
    : `What Mesh keeps is destroyed. At ${title} it stays valid until it is ended there.`;
}

/** Asks before the reader's own credential is ended. */
export function DisconnectPage({ shell, item, form }: DisconnectPageProps) {
  const { connection_id: id, title, shared } = item;
  return (
    <ConfirmPage
      shell={shell}
      place="my-connections"
      title={shared ? `Disconnect “${title}” for everybody` : `Disconnect “${title}”`}
      consequences={[
        shared
          ? `Everybody's calls to ${title} fail until somebody connects it again.`
          : `What you, your API keys and your applications call of ${title} fails until you connect it again.`,
        destroyedWords(item),
        "Its tools stay listed, and the log keeps what was called.",
      ]}
      action={paths.disconnectMine(id)}
      confirm="Disconnect"
      cancel={paths.myConnections}
      form={form}
    />
  );
}
