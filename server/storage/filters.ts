import { type Expression, type RawBuilder, sql, type SqlBool } from "kysely";
import { z } from "zod";
import { AppError } from "../errors.ts";
import { byteOrder, type Db } from "./dialect.ts";

const maxDepth = 5;
const maxLeaves = 50;
const maxValues = 100;
const maxText = 1000;

/**
 * A field that a list may be filtered by. `lower` is a column that holds lower-case text; `time` is ISO 8601
 * outside and milliseconds in the database. A list may be sorted by any of them.
 */
export interface Field {
  readonly column: string;
  readonly kind: "text" | "lower" | "number" | "time" | "enum";
  /** The values of an enum. */
  readonly values?: readonly string[];
  readonly nullable?: boolean;
}

/** The fields of a noun by their public name. */
export type Fields = Readonly<Record<string, Field>>;

const leafOperators = ["eq", "gt", "gte", "lt", "lte", "in", "like", "contains"] as const;
const comparisons = { gt: ">", gte: ">=", lt: "<", lte: "<=" } as const;

// deno-lint-ignore no-control-regex -- one of the databases takes no NUL inside text
const filterText = z.string().max(maxText).regex(/^[^\u0000]*$/, "it must not contain NUL");
const scalar = z.union([filterText, z.number(), z.boolean(), z.null()]);
const leafSchema = z.object({
  field: z.array(z.string().max(100)).min(1).max(5),
  operator: z.enum(leafOperators),
  value: z.union([scalar, z.array(scalar).max(maxValues)]),
});

/** One condition on a field. */
export type Leaf = z.output<typeof leafSchema>;
/** Conditions joined; `not` is true where not all of them hold. */
export interface Group {
  operator: "and" | "or" | "not";
  conditions: Condition[];
}
export type Condition = Leaf | Group;

function isLeaf(condition: Condition): condition is Leaf {
  return !("conditions" in condition);
}

/** Groups within groups, to a depth that no database and no stack minds. */
function conditionSchema(depth: number): z.ZodType<Condition> {
  if (depth === 0) return leafSchema;
  const group = z.object({
    operator: z.enum(["and", "or", "not"]),
    conditions: z.array(conditionSchema(depth - 1)).max(maxLeaves),
  });
  return z.union([leafSchema, group]);
}

const orderSchema = z.object({
  field: z.array(z.string().max(100)).min(1).max(5),
  direction: z.enum(["asc", "desc"]),
  nulls: z.enum(["first", "last"]).optional(),
});

/** How a list is filtered, sorted and paged, the same for every noun. */
export const listInput = z.object({
  where: conditionSchema(maxDepth).optional().describe(
    "A condition {field, operator, value}, or a group {operator: and|or|not, conditions}",
  ),
  orderBy: z.array(orderSchema).max(5).optional(),
  limit: z.int().min(1).max(1000).default(100),
  offset: z.int().min(0).max(1_000_000_000).default(0),
});

/** A list input after its defaults. */
export type ListInput = z.output<typeof listInput>;

/** One page of a list: its items, how many match in all, and whether more follow. */
export function listOutput<T extends z.ZodType>(item: T) {
  return z.object({ items: z.array(item), totalCount: z.int(), hasMore: z.boolean() });
}

/** The SQL condition of a `where`. Throws `invalid` naming a field, operator or value that cannot be used. */
export function whereOf(where: Condition | undefined, fields: Fields): Expression<SqlBool> {
  if (where === undefined) return sql<SqlBool>`1 = 1`;
  if (countLeaves(where) > maxLeaves) {
    throw refused("where", `it has more than ${maxLeaves} conditions`);
  }
  return conditionSql(where, fields);
}

/** The SQL order of an `orderBy`, with the id as tie-break so that pages neither overlap nor skip. */
export function orderOf(
  orderBy: ListInput["orderBy"],
  fields: Fields,
  { db, ...fallback }: { db: Db; field: string; direction: "asc" | "desc" },
): RawBuilder<unknown> {
  const wanted = orderBy?.length ? orderBy : [{ ...fallback, field: [fallback.field] }];
  const parts = wanted.flatMap((order) => {
    const field = fieldOf(order.field, fields, "orderBy");
    const column = sql.ref(field.column);
    const direction = order.direction === "asc" ? sql`asc` : sql`desc`;
    const value = field.kind === "text" ? byteOrder(db, sql`lower(${column})`) : column;
    if (!field.nullable) return [sql`${value} ${direction}`];
    // Databases differ in where they put nulls, and not all know NULLS FIRST.
    const nulls = order.direction === "asc" ? "last" : "first";
    const rank = (("nulls" in order && order.nulls) || nulls) === "first" ? sql`0 else 1` : sql`1 else 0`;
    return [sql`case when ${column} is null then ${rank} end`, sql`${value} ${direction}`];
  });
  const last = wanted.at(-1)?.direction === "desc" ? sql`desc` : sql`asc`;
  return sql.join([...parts, sql`${sql.ref("id")} ${last}`]);
}

function countLeaves(condition: Condition): number {
  if (isLeaf(condition)) return 1;
  return condition.conditions.reduce((sum, inner) => sum + countLeaves(inner), 1);
}

function conditionSql(condition: Condition, fields: Fields): RawBuilder<SqlBool> {
  if (isLeaf(condition)) return leafSql(condition, fields);
  const parts = condition.conditions.map((inner) => conditionSql(inner, fields));
  const all = parts.length === 0
    ? sql<SqlBool>`1 = 1`
    : sql<SqlBool>`(${sql.join(parts, condition.operator === "or" ? sql` or ` : sql` and `)})`;
  if (condition.operator !== "not") return all;
  // A comparison with null is neither true nor false; here what is not true is false.
  return sql<SqlBool>`(case when ${all} then 0 else 1 end) = 1`;
}

function leafSql(leaf: Leaf, fields: Fields): RawBuilder<SqlBool> {
  const { operator, value } = leaf;
  const name = leaf.field.join(".");
  const field = fieldOf(leaf.field, fields, "where");
  const column = sql.ref(field.column);
  if (operator === "in") {
    if (!Array.isArray(value)) throw refused("where", `'in' on the field '${name}' takes an array`);
    if (value.length === 0) return sql<SqlBool>`1 = 0`;
    return sql<SqlBool>`${column} in (${sql.join(value.map((one) => columnValue(one, name, field)))})`;
  }
  if (Array.isArray(value)) throw refused("where", `'${operator}' on the field '${name}' takes one value`);
  if (operator === "like" || operator === "contains") return patternSql(leaf, field);
  if (operator === "eq") {
    if (value === null) return sql<SqlBool>`${column} is null`;
    return sql<SqlBool>`${column} = ${columnValue(value, name, field)}`;
  }
  return sql<SqlBool>`${column} ${sql.raw(comparisons[operator])} ${columnValue(value, name, field)}`;
}

/** `like` takes % and _ as wildcards; `contains` takes nothing as one. Case does not count in either. */
function patternSql({ field: path, operator, value }: Leaf, field: Field): RawBuilder<SqlBool> {
  const name = path.join(".");
  if (field.kind === "number" || field.kind === "time" || typeof value !== "string") {
    throw refused("where", `'${operator}' on the field '${name}' takes a text field and a text`);
  }
  const text = value.toLowerCase();
  const pattern = operator === "like" ? text.replaceAll("!", "!!") : `%${text.replace(/[!%_]/g, "!$&")}%`;
  const column = sql.ref(field.column);
  const subject = field.kind === "lower" ? column : sql`lower(${column})`;
  return sql<SqlBool>`${subject} like ${pattern} escape '!'`;
}

function fieldOf(path: readonly string[], fields: Fields, where: string): Field {
  const name = path.join(".");
  const field = Object.hasOwn(fields, name) ? fields[name] : undefined;
  if (!field) {
    throw refused(where, `there is no field '${name}'; the fields are ${Object.keys(fields).join(", ")}`);
  }
  return field;
}

/** A value as its column holds it. */
function columnValue(value: unknown, name: string, field: Field): string | number {
  if (field.kind === "number") {
    if (typeof value === "number" && Number.isInteger(value) && Math.abs(value) <= 2 ** 31 - 1) return value;
    throw refused("where", `the field '${name}' takes a whole number`);
  }
  if (typeof value !== "string") throw refused("where", `the field '${name}' takes a text`);
  if (field.kind === "lower") return value.toLowerCase();
  if (field.kind === "time") return timeValue(value, name);
  if (field.kind === "enum" && !field.values?.includes(value)) {
    throw refused("where", `the field '${name}' is one of ${field.values?.join(", ")}`);
  }
  return value;
}

function timeValue(text: string, name: string): number {
  const match = /^\d{4}-\d{2}-\d{2}(?:T[\d:.]+(Z|[+-]\d{2}:\d{2})?)?$/.exec(text);
  // A time without a zone is UTC, as a date is.
  const zone = match?.[1] === undefined && text.includes("T") ? "Z" : "";
  const time = match ? Date.parse(text + zone) : NaN;
  if (Number.isNaN(time)) throw refused("where", `the field '${name}' takes an ISO 8601 time`);
  return time;
}

function refused(field: string, reason: string): AppError {
  return new AppError("invalid", `Cannot list: ${reason}`, { fields: { [field]: reason } });
}
