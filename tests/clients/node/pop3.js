// node-pop3 against a server: CONFIG as JSON in argv[2]; prints what it saw as JSON. The test looks at that.
const module_ = require('node-pop3');

const Pop3 = module_.default || module_;
const config = JSON.parse(process.argv[2]);
const seen = {};

async function main() {
    const pop = new Pop3({user: config.user, password: config.pass, host: '127.0.0.1', port: config.port, tls: config.tls,
        timeout: 30000, tlsOptions: {rejectUnauthorized: false}});
    if (config.utf8) {
        await pop.connect();
        await pop.command('UTF8');
        await pop.command('USER', config.user);
        await pop.command('PASS', config.pass);
    }
    seen.list = await pop.LIST();
    seen.uidl = await pop.UIDL();
    seen.stat = await pop.STAT();
    seen.messages = [];
    for (const [number] of seen.list) {
        try {
            seen.messages.push(await pop.RETR(number));
        } catch (e) {
            seen.messages.push('error: ' + e.message);
        }
    }
    seen.top = await pop.TOP(1, 1);
    for (const number of config.remove) await pop.DELE(number);
    await pop.QUIT();
    console.log(JSON.stringify(seen));
}

main().catch((e) => { console.error(e, JSON.stringify(seen)); process.exit(1); });
