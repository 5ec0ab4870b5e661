import type { Connection, FormState } from "../types.ts";
import { Check, entered, optionalLines, TextAreaField, TextField } from "./form.tsx";

/** The names of the fields; a form with an error in one of them opens what they lie in. */
const names = ["timeout_seconds", "ca_certificates", "certificate", "certificate_key"];

export interface WayFieldsProps {
  form: FormState | undefined;
  /** Missing while it is being made. */
  connection?: Connection;
}

/** The way to the server: who calls, how long it may take, and the certificates of both sides. */
export function WayFields({ form, connection }: WayFieldsProps) {
  const options = connection?.options ?? {};
  const identity = form?.values ? form.values.identity_token === "1" : options.identity_token === true;
  return (
    <>
      <Check
        id="identity-token"
        name="identity_token"
        value="1"
        checked={identity}
        hint={
          <>
            {"Each call carries "}
            <code>x-mesh-token</code>
            {", a token of a few minutes with the id, name and e-mail address of the caller, signed by Mesh."}
          </>
        }
      >
        Tell the server who calls
      </Check>
      <TextField
        {...entered(form, "timeout_seconds", options.timeout_seconds?.toString())}
        label="Time-out in seconds"
        note="optional"
        type="number"
        autocomplete="off"
        attributes={{ min: 1, max: 3600, step: 1 }}
        hint="A call ends when the server has been silent for so long."
      />
      <TextAreaField
        {...entered(form, "ca_certificates", options.ca_certificates)}
        label="Private certificate authority"
        {...optionalLines}
        placeholder="-----BEGIN CERTIFICATE-----"
        hint="PEM. Trusted for this connection, beside the usual authorities."
      />
      <CertificateFields form={form} {...(connection && { connection })} />
    </>
  );
}

function CertificateFields({ form, connection }: WayFieldsProps) {
  const certified = connection?.has_client_certificate === true;
  return (
    <>
      <TextAreaField
        {...entered(form, "certificate")}
        value=""
        label="Client certificate"
        {...optionalLines}
        placeholder={certified
          ? "A certificate is stored; paste another with its key to replace it"
          : "-----BEGIN CERTIFICATE-----"}
        hint="PEM, with the chain behind it: Mesh shows it where the server asks for one."
      />
      <TextAreaField
        {...entered(form, "certificate_key")}
        value=""
        label="Key of the client certificate"
        {...optionalLines}
        placeholder={certified ? "" : "-----BEGIN PRIVATE KEY-----"}
        hint="PEM, without a passphrase. It is stored encrypted and never shown again."
      />
      {certified && (
        <Check id="remove-certificate" name="remove_certificate" value="1">
          Remove the stored client certificate
        </Check>
      )}
    </>
  );
}

/** True where the form has an error in one of these fields, or the connection says something of them. */
export function saysTheWay(form: FormState | undefined, connection?: Connection): boolean {
  const { timeout_seconds, identity_token, ca_certificates } = connection?.options ?? {};
  return names.some((name) => form?.errors?.[name]) || connection?.has_client_certificate === true ||
    identity_token === true || timeout_seconds != null || Boolean(ca_certificates);
}
