import type { InputField } from "../schema_form.ts";
import { SelectField, TextAreaField, TextField } from "./form.tsx";

interface ToolInputProps {
  /** Of the control: a property's name may hold what an id may not. */
  id: string;
  field: InputField;
  value: string | undefined;
  error: string | undefined;
}

function limits(field: InputField): Record<string, string | number> {
  const attributes: Record<string, string | number> = {};
  const numeric = field.kind === "number" || field.kind === "integer";
  if (numeric) attributes.step = field.kind === "integer" ? 1 : "any";
  if (numeric && field.min !== undefined) attributes.min = field.min;
  if (numeric && field.max !== undefined) attributes.max = field.max;
  if (!numeric && field.minLength !== undefined) attributes.minlength = field.minLength;
  if (!numeric && field.maxLength !== undefined) attributes.maxlength = field.maxLength;
  return attributes;
}

function choicesOf(field: InputField): { value: string; text: string }[] {
  const values = field.kind === "boolean"
    ? [{ value: "true", text: "true" }, { value: "false", text: "false" }]
    : field.choices.map(({ text, json }) => ({ value: json, text }));
  const fixed = field.required && field.initial !== "";
  return fixed ? values : [{ value: "", text: field.required ? "Choose" : "not given" }, ...values];
}

/** The control for one field of a tool's form. */
export function ToolInput({ id, field, value, error }: ToolInputProps) {
  const shown = value ?? field.initial;
  const common = {
    id,
    name: field.name,
    label: field.property,
    value: shown,
    error,
    note: field.note,
    required: field.required,
    hint: field.description,
  };
  switch (field.kind) {
    case "boolean":
    case "choice":
      return <SelectField {...common} choices={choicesOf(field)} />;
    case "json":
      return <TextAreaField {...common} mono rows={Math.min(12, Math.max(3, shown.split("\n").length))} />;
    case "long":
      return <TextAreaField {...common} rows={3} />;
    case "text":
      return shown.includes("\n")
        ? <TextAreaField {...common} rows={3} />
        : <TextField {...common} autocomplete="off" attributes={limits(field)} />;
    case "number":
    case "integer":
      return <TextField {...common} type="number" autocomplete="off" attributes={limits(field)} />;
  }
}
