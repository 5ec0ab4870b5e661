// A process whose files may not grow beyond a limit: it appends lines until three have failed, and says which it was
// promised to have on disk. Then it ends without closing anything.
import { Journal } from "../../server/audit/journal.ts";

const [root = ""] = Deno.args;
const journal = await Journal.open(root);
const filling = "ä".repeat(500);
const promised: number[] = [];
const failed: number[] = [];

for (let i = 0; failed.length < 3; i++) {
  try {
    journal.append(`${JSON.stringify({ i, filling })}\n`);
    promised.push(i);
  } catch (error) {
    if (!(error instanceof Error) || !/too large/i.test(error.message)) throw error;
    failed.push(i);
  }
}
console.log(JSON.stringify({ promised, failed, appended: journal.appended }));
Deno.exit(0);
