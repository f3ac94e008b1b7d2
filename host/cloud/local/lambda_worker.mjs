// The process in which a JavaScript Lambda handler runs: `node lambda_worker.mjs HANDLER.js`.
//
// It speaks the frames of lambda_worker.py: 4 bytes length (big endian), then JSON. A handler is the export
// `handler`, and either returns (a promise of) its result or calls back. What it prints goes to standard error,
// the stand-in for its CloudWatch log.

import fs from "node:fs";
import path from "node:path";
import { pathToFileURL } from "node:url";

const PARENT_LOOK_MS = 1000;
const parent = process.ppid;
// A handler that hangs in a promise does not see the end of its input: when the twin is gone, end anyway.
setInterval(() => process.ppid === parent || process.exit(1), PARENT_LOOK_MS).unref();

// The protocol keeps standard output to itself.
process.stdout.write = process.stderr.write.bind(process.stderr);

function send(message) {
  const body = Buffer.from(JSON.stringify(message));
  const head = Buffer.alloc(4);
  head.writeUInt32BE(body.length);
  let rest = Buffer.concat([head, body]);
  while (rest.length) {
    try {
      rest = rest.subarray(fs.writeSync(1, rest));
    } catch (error) {
      if (error.code !== "EAGAIN") throw error;
    }
  }
}

function failure(error) {
  const known = error instanceof Error;
  return {
    error: {
      errorType: known ? error.name : typeof error,
      errorMessage: known ? error.message : String(error),
      stackTrace: known && error.stack ? error.stack.split("\n") : [],
    },
  };
}

function invoke(handler, { event, context }) {
  const end = performance.now() + context.timeout_ms;
  const given = {
    awsRequestId: context.aws_request_id,
    functionName: context.function_name,
    memoryLimitInMB: String(context.memory_limit_in_mb),
    invokedFunctionArn: context.invoked_function_arn,
    callbackWaitsForEmptyEventLoop: true,
    getRemainingTimeInMillis: () => Math.max(0, Math.floor(end - performance.now())),
  };
  return new Promise((resolve, reject) => {
    const answer = handler(event, given, (error, result) => (error ? reject(error) : resolve(result)));
    if (answer && typeof answer.then === "function") answer.then(resolve, reject);
    // Neither a promise nor a third parameter to call back with: it has nothing to say.
    else if (handler.length < 3) resolve(answer);
  });
}

let handler;
try {
  const module = await import(pathToFileURL(path.resolve(process.argv[2])).href);
  handler = module.handler ?? module.default?.handler;
  if (typeof handler !== "function") throw new TypeError("the file exports no function `handler`");
} catch (error) {
  send(failure(error));
  process.exit(1);
}
send({ ready: true });

let waiting = Buffer.alloc(0);
for await (const chunk of process.stdin) {
  waiting = waiting.length ? Buffer.concat([waiting, chunk]) : chunk;
  while (waiting.length >= 4 && waiting.length >= 4 + waiting.readUInt32BE(0)) {
    const size = waiting.readUInt32BE(0);
    const request = JSON.parse(waiting.subarray(4, 4 + size).toString());
    waiting = waiting.subarray(4 + size);
    let answer;
    try {
      const result = await invoke(handler, request);
      answer = { result: result === undefined ? null : result };
      JSON.stringify(answer);
    } catch (error) {
      answer = failure(error);
    }
    send(answer);
  }
}
process.exit(0);
