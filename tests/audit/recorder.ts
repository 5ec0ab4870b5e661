// A process that records without end, and says which rows it was promised: `url dir name [bytes]`.
// `bytes` makes rows of about that size.
import { openDatabase } from "../../server/storage/database.ts";
import { entry, openAudit } from "./support.ts";

const [url = "", dir = "", name = "", bytes = "0"] = Deno.args;
const db = await openDatabase(url, 2);
const audit = await openAudit(db, dir);
const filling = "x ".repeat(Number(bytes) / 2);
const output = filling ? Array.from({ length: 8 }, () => filling.slice(0, 1900)) : "short";
const promised = Deno.openSync(`${dir}/${name}.promised`, { create: true, append: true });
const encoder = new TextEncoder();

for (let count = 0;; count++) {
  await audit.room();
  await audit.record(entry(`${name}_${count}`, { output }));
  promised.writeSync(encoder.encode(`${name}_${count}\n`));
  if (count === 0) console.log("recording");
  // Others have their turn, such as what moves the rows.
  if (count % 20 === 19) await new Promise((resolve) => setTimeout(resolve, 1));
}
