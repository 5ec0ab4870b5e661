import { CopyButton } from "./button.tsx";

/** A secret in clear, shown this once, with the sentence that says so. */
export function SecretOnce({ id, label, value }: { id: string; label: string; value: string }) {
  return (
    <div class="secret">
      <div class="field-head">
        <span>{label}</span>
        <span class="field-note">shown only now</span>
      </div>
      <div class="secret-row">
        <code id={id} class="control mono" tabindex={0}>{value}</code>
        <CopyButton target={id} />
      </div>
      <p class="field-hint">
        Copy it to where it will be used: Mesh keeps only a fingerprint and cannot show it again.
      </p>
    </div>
  );
}
