// The tutorials and the error paths with amqplib. Argument: the port.
const amqp = require('amqplib');
const assert = require('assert');

const url = `amqp://guest:guest@127.0.0.1:${process.argv[2]}`;

function take(channel, queue, count) {
  return new Promise((resolve, reject) => {
    const bodies = [];
    channel.consume(queue, async (message) => {
      if (!message) return reject(new Error('cancelled'));
      channel.ack(message);
      bodies.push(message.content.toString());
      if (bodies.length === count) {
        await channel.cancel(message.fields.consumerTag);
        resolve(bodies);
      }
    }).catch(reject);
  });
}

// What each request is refused with, on the channel or the connection.
async function refusals(connection) {
  const refusedOnChannel = [
    [(ch) => ch.assertQueue('js_kept', { durable: true }), /406 .*inequivalent arg 'durable' for queue 'js_kept' in vhost '\/': received 'true' but current is 'false'/],
    [(ch) => ch.assertQueue('amq.mine'), /403 .*queue name 'amq.mine' contains reserved prefix 'amq\.\*'/],
    [(ch) => ch.bindQueue('js_kept', '', 'k'), /403 .*operation not permitted on the default exchange/],
    [(ch) => ch.deleteExchange('amq.direct'), /403 /],
    [(ch) => ch.checkExchange('js_missing'), /404 .*no exchange 'js_missing' in vhost '\/'/],
    [(ch) => ch.assertQueue('js_new', { messageTtl: -1 }), /406 .*invalid arg 'x-message-ttl'.*\{value_negative,-1\}/],
    [(ch) => ch.assertQueue('js_new', { maxPriority: 300 }), /406 .*\{max_value_exceeded,300\}/],
  ];
  for (const [action, text] of refusedOnChannel) {
    const channel = await connection.createChannel();
    channel.on('error', () => {});
    await assert.rejects(action(channel), text);
  }
  const other = await amqp.connect(url);
  const foreign = await other.createChannel();
  foreign.on('error', () => {});
  await assert.rejects(foreign.checkQueue('js_own'), /405 .*cannot obtain exclusive access to locked queue 'js_own'/);
  await other.close();
  const refusedOnConnection = [
    [(ch) => ch.assertExchange('js_odd', 'odd'), /503 .*unknown exchange type 'odd'/],
    [(ch) => ch.consume('js_kept', () => {}, { consumerTag: 'same' }).then(() => ch.consume('js_kept', () => {}, { consumerTag: 'same' })),
      /530 .*attempt to reuse consumer tag 'same'/],
  ];
  for (const [action, text] of refusedOnConnection) {
    const own = await amqp.connect(url);
    const closed = new Promise((resolve) => own.once('error', resolve));
    const channel = await own.createChannel();
    channel.on('error', () => {});
    await assert.rejects(action(channel));
    assert.match((await closed).message, text);
  }
  await assert.rejects(amqp.connect(`${url}/missing`), /ConnectionClose/);
}

async function main() {
  const connection = await amqp.connect(url);
  const channel = await connection.createChannel();

  await channel.assertQueue('js_hello', { durable: false });
  channel.sendToQueue('js_hello', Buffer.from('Hello World!'));
  assert.deepStrictEqual(await take(channel, 'js_hello', 1), ['Hello World!']);

  await channel.assertQueue('js_tasks', { durable: true });
  await channel.prefetch(1);
  for (let n = 0; n < 5; n++) channel.sendToQueue('js_tasks', Buffer.from(`${n}`), { persistent: true });
  assert.deepStrictEqual(await take(channel, 'js_tasks', 5), ['0', '1', '2', '3', '4']);

  await channel.assertExchange('js_topics', 'topic', { durable: false });
  const { queue } = await channel.assertQueue('', { exclusive: true });
  await channel.bindQueue(queue, 'js_topics', 'kern.*');
  channel.publish('js_topics', 'cron.info', Buffer.from('no'));
  channel.publish('js_topics', 'kern.info', Buffer.from('yes'));
  assert.deepStrictEqual(await take(channel, queue, 1), ['yes']);

  await channel.assertQueue('js_rpc', { durable: false });
  channel.consume('js_rpc', (message) => {
    channel.sendToQueue(message.properties.replyTo, Buffer.from(`<${message.content}>`),
      { correlationId: message.properties.correlationId });
    channel.ack(message);
  });
  const client = await connection.createChannel();
  const answer = new Promise((resolve) => {
    client.consume('amq.rabbitmq.reply-to', (message) => resolve(message), { noAck: true })
      .then(() => client.sendToQueue('js_rpc', Buffer.from('q'),
        { correlationId: '7', replyTo: 'amq.rabbitmq.reply-to' }));
  });
  const message = await answer;
  assert.strictEqual(message.content.toString(), '<q>');
  assert.strictEqual(message.properties.correlationId, '7');

  const confirmed = await connection.createConfirmChannel();
  await confirmed.assertQueue('js_confirmed', { durable: true });
  for (let n = 0; n < 200; n++) confirmed.sendToQueue('js_confirmed', Buffer.from('x'), { persistent: true });
  await confirmed.waitForConfirms();
  assert.strictEqual((await confirmed.checkQueue('js_confirmed')).messageCount, 200);
  assert.strictEqual((await confirmed.deleteQueue('js_confirmed')).messageCount, 200);
  const returned = new Promise((resolve) => confirmed.once('return', resolve));
  confirmed.publish('', 'js_nowhere', Buffer.from('x'), { mandatory: true });
  assert.strictEqual((await returned).fields.replyText, 'NO_ROUTE');

  await channel.assertQueue('js_dead', { durable: false });
  await channel.assertQueue('js_short', { durable: false, messageTtl: 10, deadLetterExchange: '', deadLetterRoutingKey: 'js_dead' });
  channel.sendToQueue('js_short', Buffer.from('late'));
  const dead = await new Promise((resolve) => channel.consume('js_dead', resolve, { noAck: true }));
  assert.strictEqual(dead.properties.headers['x-death'][0].reason, 'expired');
  assert.strictEqual(dead.properties.headers['x-first-death-queue'], 'js_short');

  await channel.assertQueue('js_priority', { durable: false, maxPriority: 5 });
  for (const priority of [1, 5, 3]) channel.sendToQueue('js_priority', Buffer.from(`${priority}`), { priority });
  await channel.prefetch(0);
  assert.deepStrictEqual(await take(channel, 'js_priority', 3), ['5', '3', '1']);

  await channel.assertQueue('js_single', { durable: false, arguments: { 'x-single-active-consumer': true } });
  const served = [];
  await channel.consume('js_single', () => served.push('first'), { noAck: true, consumerTag: 'first' });
  await channel.consume('js_single', () => served.push('second'), { noAck: true, consumerTag: 'second' });
  channel.sendToQueue('js_single', Buffer.from('x'));
  channel.sendToQueue('js_single', Buffer.from('x'));
  while (served.length < 2) await new Promise((resolve) => setTimeout(resolve, 10));
  assert.deepStrictEqual(served, ['first', 'first']);

  await channel.assertQueue('js_own', { exclusive: true });
  await channel.assertQueue('js_kept', { durable: false });
  await refusals(connection);

  const refused = await connection.createChannel();
  const closed = new Promise((resolve) => refused.once('error', resolve));
  await assert.rejects(refused.checkQueue('js_missing'));
  assert.match((await closed).message, /404 \(NOT-FOUND\) with message "NOT_FOUND - no queue 'js_missing' in vhost '\/'"/);

  await assert.rejects(amqp.connect(url.replace('guest:guest', 'guest:wrong')),
    /ACCESS_REFUSED - Login was refused using authentication mechanism PLAIN/);
  await connection.close();
  console.log('ok amqplib');
}

main().catch((error) => { console.error(error); process.exit(1); });
