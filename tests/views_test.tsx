import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { asset, setAssetHashes } from "../views/assets.ts";
import { samplePages } from "./views_samples/mod.ts";

const HOSTILE = `"><img src=x onerror=alert(1)>'</script><!--`;

interface Tag {
  name: string;
  attributes: Map<string, string>;
}

const TAG = /<([a-z][a-z0-9]*)((?:\s+[a-zA-Z0-9:.-]+(?:="[^"<>]*")?)*)\s*\/?>/g;

/** Takes a page apart; whatever is no doctype, tag or text without angle brackets is an error. */
function tagsOf(html: string): Tag[] {
  const rest = html.replace(/^<!DOCTYPE html>/, "").replace(TAG, "").replace(/<\/[a-z][a-z0-9]*>/g, "");
  assert.doesNotMatch(rest, /[<>]/, `stray markup: ${/.{0,80}[<>].{0,80}/.exec(rest)?.[0]}`);
  return [...html.matchAll(TAG)].map(([, name = "", attributes = ""]) => ({
    name,
    attributes: new Map(
      [...attributes.matchAll(/([a-zA-Z0-9:.-]+)(?:="([^"]*)")?/g)].map((
        [, key = "", value = ""],
      ) => [key, value]),
    ),
  }));
}

async function render(page: unknown): Promise<string> {
  return String(await page);
}

const plain = samplePages((text) => text);
const hostile = samplePages((text) => text + HOSTILE);

for (const { name, page } of hostile) {
  Deno.test(`${name}: hostile text is text`, async () => {
    const html = await render(page);
    assert.ok(!html.includes("<img src=x"), "raw markup");
    for (const tag of tagsOf(html)) {
      if (tag.name === "img") {
        assert.match(tag.attributes.get("src") ?? "", /^data:image\/png;base64,[A-Za-z0-9+/=]+$/);
      }
    }
  });
}

for (const { name, page } of [...plain, ...hostile]) {
  Deno.test(`${name}: nothing inline that the content policy refuses`, async () => {
    for (const { name: tag, attributes } of tagsOf(await render(page))) {
      assert.notEqual(tag, "style");
      if (tag === "script") assert.match(attributes.get("src") ?? "", /^\/static\//);
      for (const key of attributes.keys()) {
        assert.ok(key !== "style" && !key.startsWith("on"), `${tag} has ${key}`);
      }
      for (const key of ["href", "src", "action", "formaction"]) {
        const value = attributes.get(key) ?? "/";
        assert.match(
          value,
          /^(?:[/?#]|$|data:(?:image|audio)\/[a-z0-9.+-]+;base64,)/,
          `${tag} leads to ${value}`,
        );
        assert.doesNotMatch(value, /^\/\//);
      }
    }
  });

  Deno.test(`${name}: language, title, one h1, one main`, async () => {
    const html = await render(page);
    const tags = tagsOf(html);
    const number = (tag: string) => tags.filter((one) => one.name === tag).length;
    assert.equal(tags.find((tag) => tag.name === "html")?.attributes.get("lang"), "en");
    assert.match(html, /<title>[^<]+ · Mesh<\/title>/);
    assert.equal(number("h1"), 1);
    assert.equal(number("main"), 1);
  });

  Deno.test(`${name}: every control has a label, every reference its target`, async () => {
    const tags = tagsOf(await render(page));
    const ids = tags.flatMap(({ attributes }) => attributes.has("id") ? [attributes.get("id")] : []);
    assert.equal(new Set(ids).size, ids.length, "an id occurs twice");
    const labelled = new Set(
      tags.filter((tag) => tag.name === "label").map((tag) => tag.attributes.get("for")),
    );
    for (const { name: tag, attributes } of tags) {
      if (!["input", "select", "textarea"].includes(tag) || attributes.get("type") === "hidden") continue;
      assert.ok(labelled.has(attributes.get("id")), `${tag} ${attributes.get("name")} has no label`);
    }
    for (const { attributes } of tags) {
      const references = [attributes.get("for"), ...(attributes.get("aria-describedby") ?? "").split(" ")];
      for (const id of references) if (id) assert.ok(ids.includes(id), `${id} is nowhere`);
    }
  });

  Deno.test(`${name}: every form that posts carries the token`, async () => {
    const html = await render(page);
    for (const [form] of html.matchAll(/<form\b[^]*?<\/form>/g)) {
      if (!form.startsWith('<form method="post"')) assert.match(form, /^<form[^>]* method="get"/);
      else assert.match(form, /<input type="hidden" name="csrf" value="csrf-value/);
    }
  });
}

Deno.test("a static file is named with its hash once that is known", () => {
  assert.equal(asset("app.css"), "/static/app.css");
  setAssetHashes({ "app.css": "abc123" });
  assert.equal(asset("app.css"), "/static/app.css?v=abc123");
  setAssetHashes({});
});

type Colour = [number, number, number];

function tokens(): Record<"light" | "dark", Map<string, string>> {
  const css = readFileSync(new URL("../static/app.css", import.meta.url), "utf8");
  const found = [...css.matchAll(/--([a-z0-9-]+):\s*light-dark\((#[0-9a-f]{6}), (#[0-9a-f]{6})\)/g)];
  return {
    light: new Map(found.map(([, name = "", light = ""]) => [name, light])),
    dark: new Map(found.map(([, name = "", , dark = ""]) => [name, dark])),
  };
}

function colour(hex: string): Colour {
  return [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16) / 255) as Colour;
}

// WCAG 2.2, relative luminance and contrast ratio.
function luminance(hex: string): number {
  const [r, g, b] = colour(hex).map((part) =>
    part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4
  ) as Colour;
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}

function contrast(one: string, other: string): number {
  const [high, low] = [luminance(one), luminance(other)].sort((a, b) => b - a) as [number, number];
  return (high + 0.05) / (low + 0.05);
}

const grounds = ["ground", "panel", "sunken", "hover"];
const onGrounds = ["ink", "ink-2", "ink-3", "accent"].flatMap((ink) =>
  grounds.map((ground) => [ink, ground] as const)
);
const pairs = [
  ...onGrounds,
  ["good", "good-soft"],
  ["warn", "warn-soft"],
  ["bad", "bad-soft"],
  ["bad", "panel"],
  ["bad", "ground"],
  ["accent", "accent-soft"],
  ["ink", "accent-soft"],
  ["ink-2", "accent-soft"],
  ["ink-2", "quiet-soft"],
  ["on-accent", "accent"],
  ["on-accent", "accent-hover"],
  ["on-bad", "bad"],
] as const;

for (const theme of ["light", "dark"] as const) {
  Deno.test(`${theme}: text has a contrast of at least 4.5, the edge of a control 3`, () => {
    const known = tokens()[theme];
    const value = (name: string) => known.get(name) ?? assert.fail(`--${name} is missing`);
    for (const [ink, ground] of pairs) {
      const ratio = contrast(value(ink), value(ground));
      assert.ok(ratio >= 4.5, `${ink} on ${ground}: ${ratio.toFixed(2)}`);
    }
    for (const ground of ["ground", "panel"]) {
      const ratio = contrast(value("line-control"), value(ground));
      assert.ok(ratio >= 3, `line-control on ${ground}: ${ratio.toFixed(2)}`);
    }
  });
}

Deno.test("white initials are readable on every tile", () => {
  const css = readFileSync(new URL("../static/app.css", import.meta.url), "utf8");
  const tiles = [...css.matchAll(/\.tile-\d \{\s*background: (#[0-9a-f]{6})/g)].map(([, hex = ""]) => hex);
  assert.equal(tiles.length, 8);
  for (const hex of tiles) assert.ok(contrast("#ffffff", hex) >= 4.5, hex);
});
