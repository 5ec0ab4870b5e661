import type { Child } from "hono/jsx";
import type { FormState } from "../types.ts";
import { classes } from "../format.ts";
import { Notice } from "./card.tsx";

/** A form that posts, carrying the token that proves it came from our own page. Further attributes go to the element. */
export function Form(
  { csrf, children, ...rest }: { csrf: string; children?: Child } & Record<string, unknown>,
) {
  return (
    <form method="post" {...rest}>
      <input type="hidden" name="csrf" value={csrf} />
      {children}
    </form>
  );
}

export interface FieldProps {
  name: string;
  label: string;
  /** Defaults to `f-<name>`; give one where a page holds two fields of one name. */
  id?: string;
  value?: string | undefined;
  /** A sentence under the control. */
  hint?: Child;
  error?: string | undefined;
  /** Words right of the label; `required` is said by itself. */
  note?: string | undefined;
  required?: boolean;
}

interface FrameProps extends FieldProps {
  id: string;
  children?: Child;
}

function Frame({ id, label, note, required, hint, error, children }: FrameProps) {
  const said = [required && "required", note].filter(Boolean).join(", ");
  return (
    <div class={classes("field", error && "invalid")}>
      <div class="field-head">
        <label for={id}>{label}</label>
        {said && <span class="field-note">{said}</span>}
      </div>
      {children}
      {error && <p class="field-error" id={`${id}-error`}>{error}</p>}
      {hint && <p class="field-hint" id={`${id}-hint`}>{hint}</p>}
    </div>
  );
}

function described({ hint, error }: FieldProps, id: string): Record<string, string | boolean> {
  const ids = [error && `${id}-error`, hint && `${id}-hint`].filter(Boolean).join(" ");
  const attributes: Record<string, string | boolean> = {};
  if (ids) attributes["aria-describedby"] = ids;
  if (error) attributes["aria-invalid"] = "true";
  return attributes;
}

function idOf({ id, name }: FieldProps): string {
  return id ?? `f-${name}`;
}

export type TextFieldProps = FieldProps & {
  type?: "text" | "email" | "password" | "url" | "search" | "number" | "datetime-local" | "date";
  placeholder?: string;
  autocomplete?: string;
  autofocus?: boolean;
  mono?: boolean;
  /** Further attributes of the input, such as `min` or `pattern`. */
  attributes?: Record<string, string | number | boolean>;
};

/** One line of text with its label, hint and error. */
export function TextField(props: TextFieldProps) {
  const id = idOf(props);
  const { name, type = "text", value, placeholder, autocomplete, autofocus, mono, required, attributes } =
    props;
  return (
    <Frame {...props} id={id}>
      <input
        class={classes("control", mono && "mono")}
        id={id}
        name={name}
        type={type}
        value={value ?? ""}
        placeholder={placeholder}
        autocomplete={autocomplete}
        autofocus={autofocus ?? false}
        required={required ?? false}
        {...described(props, id)}
        {...attributes}
      />
    </Frame>
  );
}

/** What the controls for a few lines that may be left out have in common. */
export const optionalLines = { note: "optional", mono: true, rows: 3 } as const;

export type TextAreaFieldProps = FieldProps & { rows?: number; placeholder?: string; mono?: boolean };

/** Several lines of text with label, hint and error. */
export function TextAreaField(props: TextAreaFieldProps) {
  const id = idOf(props);
  const { name, value, rows = 4, placeholder, mono, required } = props;
  return (
    <Frame {...props} id={id}>
      <textarea
        class={classes("control", mono && "mono")}
        id={id}
        name={name}
        rows={rows}
        placeholder={placeholder}
        required={required ?? false}
        spellcheck={mono ? false : undefined}
        {...described(props, id)}
      >
        {value ?? ""}
      </textarea>
    </Frame>
  );
}

export interface Choice {
  value: string;
  text: string;
}

/** The choices of a select element, the one with `value` selected. */
export function Options({ choices, value }: { choices: readonly Choice[]; value: string }) {
  return (
    <>
      {choices.map((choice) => (
        <option value={choice.value} selected={choice.value === value}>
          {choice.text}
        </option>
      ))}
    </>
  );
}

/** One of several choices. */
export function SelectField(props: FieldProps & { choices: readonly Choice[] }) {
  const id = idOf(props);
  return (
    <Frame {...props} id={id}>
      <select
        class="control"
        id={id}
        name={props.name}
        required={props.required ?? false}
        {...described(props, id)}
      >
        <Options choices={props.choices} value={props.value ?? ""} />
      </select>
    </Frame>
  );
}

export interface CheckProps {
  name: string;
  value: string;
  id: string;
  checked?: boolean;
  disabled?: boolean;
  type?: "checkbox" | "radio";
  hint?: Child;
  children?: Child;
}

/** A checkbox or radio button with its words beside it. */
export function Check({ name, value, id, checked, disabled, type = "checkbox", hint, children }: CheckProps) {
  return (
    <div class="check">
      <input
        type={type}
        id={id}
        name={name}
        value={value}
        checked={checked ?? false}
        disabled={disabled ?? false}
        aria-describedby={hint ? `${id}-hint` : undefined}
      />
      <div>
        <label for={id}>{children}</label>
        {hint && <p class="field-hint" id={`${id}-hint`}>{hint}</p>}
      </div>
    </div>
  );
}

/** A few choices beside each other, of which one holds; `attributes` go to each control. */
export function Segments({ name, value, choices, attributes }: {
  name: string;
  value: string;
  choices: readonly Choice[];
  attributes?: Record<string, string>;
}) {
  return (
    <div class="segments">
      {choices.map((choice) => (
        <span class="segment">
          <input
            type="radio"
            id={`${name}-${choice.value}`}
            name={name}
            value={choice.value}
            checked={choice.value === value}
            {...attributes}
          />
          <label for={`${name}-${choice.value}`}>{choice.text}</label>
        </span>
      ))}
    </div>
  );
}

/** What is wrong with a form as a whole, announced when it appears. */
export function FormMessage({ state }: { state: FormState | undefined }) {
  return state?.message ? <Notice tone="bad" alert>{state.message}</Notice> : null;
}

/** Gives the value and the error of a field out of a form's state, to be spread into a field. */
export function entered(
  state: FormState | undefined,
  name: string,
  fallback?: string | null,
): { name: string; value: string; error: string | undefined } {
  return { name, value: state?.values?.[name] ?? fallback ?? "", error: state?.errors?.[name] };
}
