/** Reads a tool's JSON Schema as the fields of a form, and the form's entries back as the tool's arguments. */
import { editableJson } from "./json_text.ts";

export type InputKind = "text" | "long" | "number" | "integer" | "boolean" | "choice" | "json";

/** One field of a tool's form. What the schema says in a way a form cannot show becomes a `json` field. */
export interface InputField {
  /** The property's name. */
  property: string;
  /** The name of the control: `arg.` and the property. */
  name: string;
  kind: InputKind;
  required: boolean;
  /** Shown right of the label, such as `0–4` or `list of text`. */
  note: string;
  description: string;
  /** What the control holds at first, as text. */
  initial: string;
  /** The values of a choice with their JSON text, in the schema's order. */
  choices: readonly { text: string; json: string }[];
  min?: number;
  max?: number;
  minLength?: number;
  maxLength?: number;
}

type Schema = Record<string, unknown>;

/** Nobody fills in more; a server may list any number. */
const MAX_FIELDS = 200;
const MAX_CHOICES = 1000;

/** Gives the fields of a tool's input, or null when its schema is no plain, short object and only JSON can say it. */
export function fieldsOf(inputSchema: unknown): InputField[] | null {
  const root = resolve(inputSchema, inputSchema);
  if (!root || (root.type !== undefined && root.type !== "object")) return null;
  if (root.anyOf || root.oneOf || root.allOf) return null;
  const properties = isRecord(root.properties) ? root.properties : {};
  const required = Array.isArray(root.required) ? root.required : [];
  if (Object.keys(properties).length > MAX_FIELDS) return null;
  return Object.entries(properties).map(([property, schema]) =>
    fieldOf(property, resolve(schema, inputSchema), required.includes(property))
  );
}

function fieldOf(property: string, schema: Schema | null, required: boolean): InputField {
  const plain: Schema = schema ?? {};
  const choices = choicesOf(plain);
  const kind = kindOf(property, plain, choices.length > 0);
  const field: InputField = {
    property,
    name: `arg.${property}`,
    kind,
    required,
    note: noteOf(kind, plain),
    description: typeof plain.description === "string" ? plain.description : "",
    initial: initialOf(kind, plain),
    choices,
  };
  const limits: [keyof InputField & ("min" | "max" | "minLength" | "maxLength"), unknown][] = [
    ["min", limitOf(plain.minimum)],
    ["max", limitOf(plain.maximum)],
    ["minLength", plain.minLength],
    ["maxLength", plain.maxLength],
  ];
  for (const [name, limit] of limits) if (typeof limit === "number") field[name] = limit;
  return field;
}

function isRecord(value: unknown): value is Schema {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

const MAX_STEPS = 8;

// Follows references inside the document only (G11), and takes "this or null" for this.
function resolve(schema: unknown, root: unknown): Schema | null {
  let current = schema;
  for (let step = 0; step < MAX_STEPS; step++) {
    if (!isRecord(current)) return null;
    const own = current;
    const alternatives = own.anyOf ?? own.oneOf;
    if (typeof own.$ref === "string") {
      const found = lookUp(root, own.$ref);
      current = found && { ...found, ...without(own, "$ref") };
    } else if (Array.isArray(alternatives)) {
      const real = alternatives.filter((one) => !(isRecord(one) && one.type === "null"));
      if (real.length !== 1 || real.length === alternatives.length || !isRecord(real[0])) return own;
      current = { ...real[0], ...without(without(own, "anyOf"), "oneOf") };
    } else return own;
  }
  return null;
}

function without(schema: Schema, key: string): Schema {
  return Object.fromEntries(Object.entries(schema).filter(([name]) => name !== key));
}

function lookUp(root: unknown, reference: string): Schema | null {
  if (!reference.startsWith("#/")) return null;
  let current = root;
  for (const part of reference.slice(2).split("/")) {
    const name = part.replaceAll("~1", "/").replaceAll("~0", "~");
    if (!isRecord(current) || !Object.hasOwn(current, name)) return null;
    current = current[name];
  }
  return isRecord(current) ? current : null;
}

function choicesOf(schema: Schema): { text: string; json: string }[] {
  const values = Array.isArray(schema.enum)
    ? schema.enum.length > MAX_CHOICES ? [] : schema.enum
    : Object.hasOwn(schema, "const")
    ? [schema.const]
    : [];
  return values.map((value) => ({
    text: typeof value === "string" ? value : JSON.stringify(value) ?? "null",
    json: JSON.stringify(value) ?? "null",
  }));
}

const LONG_TEXT = 200;
const LONG_NAME =
  /(?:body|code|comment|content|description|html|markdown|message|notes?|prompt|query|script|sql|text)$/i;

function kindOf(property: string, schema: Schema, hasChoices: boolean): InputKind {
  if (hasChoices) return "choice";
  const types = Array.isArray(schema.type) ? schema.type.filter((one) => one !== "null") : [schema.type];
  const type = types.length === 1 ? types[0] : undefined;
  if (type === "number" || type === "integer" || type === "boolean") return type;
  if (type !== "string") return "json";
  if (typeof schema.maxLength === "number") return schema.maxLength > LONG_TEXT ? "long" : "text";
  return LONG_NAME.test(property) && schema.format === undefined ? "long" : "text";
}

function noteOf(kind: InputKind, schema: Schema): string {
  const minimum = limitOf(schema.minimum);
  const maximum = limitOf(schema.maximum);
  if (minimum !== undefined && maximum !== undefined) return `${minimum}–${maximum}`;
  if (minimum !== undefined) return `at least ${minimum}`;
  if (maximum !== undefined) return `at most ${maximum}`;
  if (kind === "number" || kind === "integer") return kind === "integer" ? "whole number" : "number";
  if (kind === "json") {
    return schema.type === "array" ? "JSON list" : schema.type === "object" ? "JSON object" : "JSON";
  }
  return typeof schema.format === "string" ? schema.format : "";
}

// Schema generators write the bounds of exact integers into every integer; they say nothing to a person.
function limitOf(value: unknown): number | undefined {
  return typeof value === "number" && Math.abs(value) < Number.MAX_SAFE_INTEGER ? value : undefined;
}

function initialOf(kind: InputKind, schema: Schema): string {
  const value = schema.default;
  if (value === undefined || value === null) return "";
  if (kind === "choice") return JSON.stringify(value) ?? "";
  if (kind === "json") return editableJson(value);
  return typeof value === "string" ? value : JSON.stringify(value) ?? "";
}

/** The arguments that a form gives, and what is wrong with it by control name. */
export interface ReadArguments {
  arguments: Record<string, unknown>;
  errors: Record<string, string>;
}

/**
 * Reads the entries of a tool's form (`arg.<property>`) as its arguments: an empty optional field is left out, text
 * becomes the schema's type. The limits of the schema are left to the server that owns it.
 */
export function readArguments(
  fields: readonly InputField[],
  entries: Readonly<Record<string, string | undefined>>,
): ReadArguments {
  const read: ReadArguments = { arguments: {}, errors: {} };
  for (const field of fields) {
    const text = entries[field.name] ?? "";
    const isText = field.kind === "text" || field.kind === "long";
    if (isText ? text === "" : text.trim() === "") {
      if (field.required) read.errors[field.name] = `${field.property} is required`;
      continue;
    }
    const value = valueOf(field, text);
    if (value === undefined) read.errors[field.name] = `${field.property} must be ${expected[field.kind]}`;
    else setOwn(read.arguments, field.property, value);
  }
  return read;
}

const expected: Record<InputKind, string> = {
  text: "text",
  long: "text",
  number: "a number",
  integer: "a whole number",
  boolean: "yes or no",
  choice: "one of the choices",
  json: "valid JSON",
};

function valueOf(field: InputField, text: string): unknown {
  switch (field.kind) {
    case "text":
    case "long":
      return text;
    case "number":
    case "integer": {
      const value = Number(text);
      return Number.isFinite(value) && (field.kind === "number" || Number.isInteger(value))
        ? value
        : undefined;
    }
    case "boolean":
      return text === "true" ? true : text === "false" ? false : undefined;
    case "choice":
      return field.choices.some(({ json }) => json === text) ? JSON.parse(text) : undefined;
    case "json":
      return parsed(text);
  }
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // Not JSON: undefined is no JSON value, so it says so without ambiguity.
    return undefined;
  }
}

// A plain assignment to `__proto__` would set the prototype instead of the argument.
function setOwn(target: Record<string, unknown>, name: string, value: unknown): void {
  Object.defineProperty(target, name, { value, enumerable: true, configurable: true, writable: true });
}

/** Writes arguments back as the entries of the form; what the fields cannot hold is left out. */
export function entriesOf(
  fields: readonly InputField[],
  values: Readonly<Record<string, unknown>>,
): Record<string, string> {
  const entries: Record<string, string> = {};
  for (const { property, name, kind } of fields) {
    if (!Object.hasOwn(values, property)) continue;
    const value = values[property];
    const bare = (kind === "text" || kind === "long") && typeof value === "string";
    entries[name] = bare ? value : kind === "json" ? editableJson(value) : JSON.stringify(value) ?? "";
  }
  return entries;
}
