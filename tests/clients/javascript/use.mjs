// Commands of the AWS SDK for JavaScript, as standard input names them: one line of JSON each, answered by a line.
import { createInterface } from "node:readline";
import * as sdk from "@aws-sdk/client-kms";

const bytes = new Set(["Plaintext", "CiphertextBlob"]);

/** Turn base64 into bytes before a command, and bytes into base64 behind it. */
const map = (members, change) =>
  Object.fromEntries(Object.entries(members).map(([name, value]) => [name, bytes.has(name) ? change(value) : value]));

const client = new sdk.KMSClient(); // what it talks to, and as whom, is in the environment
for await (const line of createInterface({ input: process.stdin })) {
  const { command, members } = JSON.parse(line);
  let answer;
  try {
    const input = map(members, (text) => Buffer.from(text, "base64"));
    const { $metadata, ...output } = await client.send(new sdk[`${command}Command`](input));
    answer = { status: $metadata.httpStatusCode, output: map(output, (value) => Buffer.from(value).toString("base64")) };
  } catch (error) {
    answer = {
      status: error.$metadata?.httpStatusCode,
      name: error.name,
      message: error.message,
      typed: sdk[error.name] !== undefined && error instanceof sdk[error.name],
    };
  }
  console.log(JSON.stringify(answer));
}
client.destroy(); // its idle connections would keep the process for a while
