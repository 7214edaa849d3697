// imapflow against a server: CONFIG as JSON in argv[2]; prints what it saw as JSON. The test looks at that.
const {ImapFlow} = require('imapflow');

const config = JSON.parse(process.argv[2]);
const seen = {};

function open() {
    return new ImapFlow({host: '127.0.0.1', port: config.port, secure: config.secure, doSTARTTLS: config.starttls,
        auth: {user: config.user, pass: config.pass}, tls: {rejectUnauthorized: false}, logger: false});
}

async function text(stream) {
    const parts = [];
    for await (const part of stream) parts.push(part);
    return Buffer.concat(parts).toString();
}

async function look(client) {
    seen.folders = (await client.list()).map((f) => [f.path, f.specialUse || null]);
    seen.status = await client.status('INBOX', {messages: true, unseen: true});
    const lock = await client.getMailboxLock('INBOX');
    try {
        const all = await client.fetchAll('1:*', {uid: true, envelope: true, bodyStructure: true, flags: true, size: true});
        seen.messages = all.map((m) => [m.seq, m.envelope.subject, m.envelope.from[0].address, m.bodyStructure.type, m.size]);
        const {content, meta} = await client.download('1', '1');
        seen.part = await text(content);
        seen.charset = meta.charset;
        seen.source = (await client.fetchOne('1', {source: true})).source.toString();
        seen.found = await client.search({subject: 'message 2'});
        seen.body = await client.search({body: 'grüße'});
    } finally {
        lock.release();
    }
}

async function change(client) {
    await client.mailboxCreate('Kept');
    const lock = await client.getMailboxLock('INBOX');
    try {
        seen.appended = (await client.append('INBOX', 'Subject: appended\r\n\r\nby imapflow\r\n', ['\\Seen'])).seq > 0;
        await client.messageFlagsAdd('1', ['\\Flagged', 'word']);
        seen.flags = [...(await client.fetchOne('1', {flags: true})).flags].sort();
        const copied = await client.messageCopy('1', 'Kept');
        seen.copied = copied.uidMap.size;
        const moved = await client.messageMove({subject: 'message 2'}, 'Kept');
        seen.moved = moved.uidMap.size;
        await client.messageDelete({subject: 'message 3'});
        seen.left = (await client.fetchAll('1:*', {envelope: true})).map((m) => m.envelope.subject);
    } finally {
        lock.release();
    }
    seen.kept = (await client.status('Kept', {messages: true})).messages;
    await client.mailboxRename('Kept', 'Löffel/Gabel');
    await client.mailboxSubscribe('Löffel/Gabel');
    seen.renamed = (await client.list()).filter((f) => f.path.startsWith('Löffel/')).map((f) => [f.path, f.subscribed]);
    await client.mailboxDelete('Löffel/Gabel');
    await client.mailboxDelete('Löffel');
}

// A second connection appends while the first idles.
async function idle(client) {
    const lock = await client.getMailboxLock('INBOX');
    const told = new Promise((resolve) => client.once('exists', (e) => resolve(e.count - e.prevCount)));
    const idling = client.idle();
    const other = open();
    await other.connect();
    await other.append('INBOX', 'Subject: while idle\r\n\r\nx\r\n');
    await other.logout();
    seen.idle = await told;
    await client.noop();
    await idling;
    lock.release();
}

async function main() {
    const client = open();
    await client.connect();
    seen.secure = client.secureConnection;
    await look(client);
    await change(client);
    await idle(client);
    await client.logout();
    console.log(JSON.stringify(seen));
}

main().catch((e) => { console.error(e, JSON.stringify(seen)); process.exit(1); });
