#!/usr/bin/env python3
"""Measures `evenkeel broker` and RabbitMQ on this machine with the same load, back to back, and prints ratios.

    cargo build --profile dist && benches/broker/run.py --broker target/dist/evenkeel

Rows can be chosen with --only (names as in the first column, by their beginnings), RabbitMQ left out with --ours.
Needs cc, and rabbitmq-server (Debian's package) for the comparison. Every node gets a directory of its own under
--dir and free ports on 127.0.0.1; nothing else is touched. CPU is user + system time of all of a node's processes.
"""
import argparse, json, os, shutil, signal, socket, subprocess, sys, tempfile, time

HERE = os.path.dirname(os.path.abspath(__file__))
# fewer would be open in so short a time that its beginning counts most
OPENS = 6000
TRANSIENT = ['--inflight', '2000']
MANUAL = ['--prefetch', '100']
PERSISTENT = ['--persistent', '--durable', *MANUAL]

# name, options of `brokerbench load`, aims: CPU us per message, messages per second
LOADS = [
    ('transient 16 B auto-ack', ['--size', '16', '--auto-ack', *TRANSIENT], 1.5, 800_000),
    ('transient 1 KiB auto-ack', ['--size', '1024', '--auto-ack', *TRANSIENT], 2.2, 450_000),
    ('transient 16 B ack100', ['--size', '16', *MANUAL, *TRANSIENT], 2.5, 500_000),
    ('persistent 16 B w1000', ['--size', '16', *PERSISTENT, '--confirm', '1000'], 3, 350_000),
    ('persistent 1 KiB w100', ['--size', '1024', *PERSISTENT, '--confirm', '100'], 5, 200_000),
    ('persistent 1 KiB w1', ['--size', '1024', *PERSISTENT, '--confirm', '1'], 25, None),
    ('persistent 1 KiB w100 8 queues', ['--size', '1024', *PERSISTENT, '--confirm', '100', '--producers', '8',
                                        '--consumers', '8', '--queues', '8'], 5, 250_000),
    ('transient 1 KiB at 5000/s', ['--size', '1024', '--auto-ack', '--rate', '5000'], None, None),
]


def free_port():
    with socket.socket() as s:
        s.bind(('127.0.0.1', 0))
        return s.getsockname()[1]


def wait_for_port(port, process, seconds=120):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if process.poll() is not None:
            sys.exit(f'the node ended with {process.returncode} before it listened')
        try:
            socket.create_connection(('127.0.0.1', port), 1).close()
            return
        except OSError:
            time.sleep(0.002)
    sys.exit(f'no listener on {port} within {seconds} s')


def children(pid):
    found = [pid]
    try:
        for task in os.listdir(f'/proc/{pid}/task'):
            with open(f'/proc/{pid}/task/{task}/children') as f:
                for child in f.read().split():
                    found += children(int(child))
    except OSError:
        pass
    return found


class Node:
    def __init__(self, directory):
        self.directory = directory
        shutil.rmtree(directory, ignore_errors=True)
        os.makedirs(directory)
        self.port = free_port()
        self.process = None

    def start(self):
        started = time.monotonic()
        log = open(os.path.join(self.directory, 'out'), 'ab')
        self.process = subprocess.Popen(self.command(), env=self.environment(), stdin=subprocess.DEVNULL, stdout=log,
                                        stderr=log, cwd=self.directory, start_new_session=True)
        wait_for_port(self.port, self.process)
        return time.monotonic() - started

    def pids(self):
        return children(self.process.pid)

    def rss_mib(self):
        total = 0
        for pid in self.pids():
            try:
                with open(f'/proc/{pid}/statm') as f:
                    total += int(f.read().split()[1]) * os.sysconf('SC_PAGESIZE')
            except OSError:
                pass
        return total / 2**20

    def kill(self):
        for pid in reversed(self.pids()):
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        self.process.wait()


class Ours(Node):
    name = 'evenkeel'

    def __init__(self, directory, binary):
        super().__init__(directory)
        self.binary = binary

    def command(self):
        return [self.binary, 'broker', '--listen', f'127.0.0.1:{self.port}', '--data-dir', f'{self.directory}/data',
                '--run-dir', f'{self.directory}/run', '--management', f'127.0.0.1:{free_port()}',
                '--prometheus', 'none']

    def environment(self):
        return dict(os.environ, XDG_RUNTIME_DIR=self.directory, HOME=self.directory)


class Rabbit(Node):
    name = 'rabbitmq'

    def __init__(self, directory):
        super().__init__(directory)
        self.distribution, self.management, self.mapper = free_port(), free_port(), free_port()
        home = os.path.join(directory, 'home')
        os.makedirs(home)
        with open(os.path.join(home, '.erlang.cookie'), 'w') as f:
            f.write('EVENKEELBENCH')
        os.chmod(f.name, 0o400)
        with open(os.path.join(directory, 'plugins'), 'w') as f:
            f.write('[rabbitmq_management].\n')
        with open(os.path.join(directory, 'rabbitmq.conf'), 'w') as f:
            f.write(f'management.tcp.port = {self.management}\nmanagement.tcp.ip = 127.0.0.1\n')

    def command(self):
        beside = '/usr/lib/rabbitmq/bin/rabbitmq-server'
        return [beside if os.path.exists(beside) else 'rabbitmq-server']

    def environment(self):
        d = self.directory
        return dict(os.environ, HOME=f'{d}/home', LANG='C.UTF-8', ERL_EPMD_PORT=str(self.mapper),
                    RABBITMQ_NODENAME=f'bench{self.port}@localhost', RABBITMQ_NODE_PORT=str(self.port),
                    RABBITMQ_NODE_IP_ADDRESS='127.0.0.1', RABBITMQ_DIST_PORT=str(self.distribution),
                    RABBITMQ_MNESIA_BASE=f'{d}/mnesia', RABBITMQ_LOG_BASE=f'{d}/log',
                    RABBITMQ_CONF_ENV_FILE=f'{d}/none', RABBITMQ_CONFIG_FILE=f'{d}/rabbitmq.conf',
                    RABBITMQ_ADVANCED_CONFIG_FILE=f'{d}/none.config', RABBITMQ_ENABLED_PLUGINS_FILE=f'{d}/plugins',
                    RABBITMQ_PID_FILE=f'{d}/pid', RABBITMQ_GENERATED_CONFIG_DIR=f'{d}/conf')

    def kill(self):
        super().kill()
        # epmd puts itself apart; it is ours by its port
        for pid in filter(str.isdigit, os.listdir('/proc')):
            try:
                with open(f'/proc/{pid}/environ', 'rb') as f:
                    mine = f'ERL_EPMD_PORT={self.mapper}\0'.encode() in f.read()
                if mine:
                    os.kill(int(pid), signal.SIGKILL)
            except OSError:
                pass


class Bench:
    def __init__(self, arguments):
        self.arguments = arguments
        self.directory = arguments.dir or tempfile.mkdtemp(prefix='brokerbench.')
        os.makedirs(self.directory, exist_ok=True)
        self.tool = os.path.join(self.directory, 'brokerbench')
        subprocess.run(['cc', '-O2', '-pthread', '-w', '-o', self.tool, os.path.join(HERE, 'brokerbench.c')], check=True)
        self.rows = []

    def fresh(self, kind):
        directory = os.path.join(self.directory, kind.name)
        return Ours(directory, self.arguments.broker) if kind is Ours else Rabbit(directory)

    def kinds(self):
        return [Ours] if self.arguments.ours else [Rabbit, Ours]

    def wanted(self, name):
        only = self.arguments.only
        return not only or any(name.startswith(prefix.strip()) for prefix in only.split(','))

    def run(self, node, command, *options):
        arguments = [self.tool, command, '--to', f'127.0.0.1:{node.port}', '--pid', ','.join(map(str, node.pids())),
                     *map(str, options)]
        done = subprocess.run(arguments, capture_output=True, text=True)
        try:
            return json.loads(done.stdout)
        except ValueError:
            sys.exit(f'{" ".join(arguments)}: {done.stdout} {done.stderr}')

    def row(self, name, unit, values, aim=None, more_is_better=False):
        """Prints one figure of each broker, their ratio, and the aim."""
        ours, theirs = values.get('evenkeel'), values.get('rabbitmq')
        ratio = ''
        if ours and theirs:
            ratio = f'{ours / theirs if more_is_better else theirs / ours:.1f} x better'
        show = lambda value: '-' if value is None else f'{value:,.0f}' if value >= 1000 else f'{value:.3g}'
        met = '' if aim is None or ours is None else 'met' if (ours >= aim if more_is_better else ours <= aim) else 'missed'
        goal = '' if aim is None else f'{">=" if more_is_better else "<="} {show(aim)}'
        print(f'| {name} | {unit} | {show(theirs)} | {show(ours)} | {ratio} | {goal} | {met} |', flush=True)
        self.rows.append({'name': name, 'unit': unit, 'aim': aim, **values})

    def one_sync(self):
        """What one write and fdatasync of a message costs on the disk where the nodes keep theirs."""
        file = os.path.join(self.directory, 'sync')
        done = subprocess.run([self.tool, 'sync', '--file', file, '--size', '1200', '--time', '2', '--count', '5000'],
                              capture_output=True, text=True, check=True)
        return json.loads(done.stdout)

    def against_the_disk(self, name, found, floors):
        """How a confirm at window 1 compares with one fdatasync, measured before and after."""
        cpu = sum(floor['cpu_us'] for floor in floors) / len(floors)
        p50 = sum(floor['sync_us']['p50'] for floor in floors) / len(floors)
        both = lambda value: {kind: value for kind in found}
        self.row(name, 'one fdatasync alone, CPU us', both(cpu))
        self.row(name, 'one fdatasync alone, p50 us', both(p50))
        self.row(name, 'confirm p50 / one fdatasync', {kind: r['confirm_us']['p50'] / p50 for kind, r in found.items()}, 2)
        self.row(name, 'CPU us/msg without the fdatasync',
                 {kind: r['broker_cpu_us_per_msg'] - cpu for kind, r in found.items()})

    def loads(self):
        chosen = [load for load in LOADS if self.wanted(load[0])]
        if not chosen:
            return
        nodes = [self.fresh(kind) for kind in self.kinds()]
        for node in nodes:
            node.start()
        for name, options, cpu, rate in chosen:
            found = {}
            alone = name.endswith(' w1')
            floors = [self.one_sync()] if alone else []
            for node in nodes:
                found[node.name] = self.run(node, 'load', '--time', self.arguments.secs, '--warmup', '2', '--queue',
                                            'bench.' + name.replace(' ', '.'), '--delete', *options)
                if found[node.name]['errors']:
                    print(f'{node.name}: {found[node.name]["errors"]}', file=sys.stderr)
            pick = lambda get: {name: get(result) for name, result in found.items()}
            self.row(name, 'CPU us/msg', pick(lambda r: r['broker_cpu_us_per_msg']), cpu)
            self.row(name, 'msg/s', pick(lambda r: r['cons_per_s']), rate, more_is_better=True)
            for latency, title in [('latency_us', 'end to end'), ('confirm_us', 'confirm')]:
                if all(result[latency]['n'] for result in found.values()):
                    for point in ['p50', 'p99']:
                        self.row(name, f'{title} {point} us', pick(lambda r: r[latency][point]))
            if alone:
                self.against_the_disk(name, found, [*floors, self.one_sync()])
            self.row(name, 'generator cores', pick(lambda r: r['gen_cpu_share']))
        for node in nodes:
            node.kill()

    def each(self, measure):
        found = {}
        for kind in self.kinds():
            node = self.fresh(kind)
            found[kind.name] = measure(node)
            node.kill()
        return found

    def table(self, found, lines):
        for name, unit, key, aim, more in lines:
            self.row(name, unit, {kind: result[key] for kind, result in found.items()}, aim, more)

    def idle(self):
        def measure(node):
            seconds = node.start()
            time.sleep(5)
            return {'start': seconds * 1000, 'rss': node.rss_mib()}
        if self.wanted('idle'):
            self.table(self.each(measure), [('idle node', 'MiB', 'rss', 15, False),
                                            ('idle node', 'ms to listen', 'start', None, False)])

    def one_open(self):
        """What opening costs a server that answers with the same frames from one thread and does nothing else."""
        port = free_port()
        server = subprocess.Popen([self.tool, 'sink', '--to', f'127.0.0.1:{port}'])
        wait_for_port(port, server)
        done = subprocess.run([self.tool, 'conns', '--to', f'127.0.0.1:{port}', '--pid', str(server.pid), '--count', str(OPENS),
                               '--parallel', '4', '--hold', '0', '--settle', '0'], capture_output=True, text=True)
        server.kill()
        server.wait()
        return json.loads(done.stdout)

    def connections(self):
        def measure(node):
            node.start()
            time.sleep(3)
            # the first login of a user is checked against its slow hash; the ones that follow are known
            first = self.run(node, 'conns', '--count', 1, '--parallel', 1, '--churn', '--hold', 0, '--settle', 0)
            kept = self.run(node, 'conns', '--count', OPENS, '--parallel', 4)
            churn = self.run(node, 'conns', '--count', OPENS, '--parallel', 4, '--churn', '--hold', 0, '--settle', 0)
            return {'first': first['open_us']['p50'], 'rate': kept['open_per_s'], 'cpu': kept['broker_cpu_us_per_open'], 'rss': kept['kib_per_conn'],
                    'p50': kept['open_us']['p50'], 'churn': churn['open_per_s'], 'churn_cpu': churn['broker_cpu_us_per_open']}
        if self.wanted('connection'):
            floors = [self.one_open()]
            found = self.each(measure)
            floors.append(self.one_open())
            both = lambda key: {kind: sum(floor[key] for floor in floors) / 2 for kind in found}
            self.row('connection + channel', 'a server that only answers, CPU us/open', both('broker_cpu_us_per_open'))
            self.row('connection + channel', 'a server that only answers, opens/s', both('open_per_s'))
            self.table(found, [('first login', 'us', 'first', None, False),
                               ('connection + channel', 'CPU us/open', 'cpu', 120, False),
                               ('connection + channel', 'opens/s', 'rate', 10_000, True),
                               ('connection + channel', 'open p50 us', 'p50', None, False),
                               ('connection + channel', 'KiB each, idle', 'rss', 8, False),
                               ('open, channel, close', 'CPU us each', 'churn_cpu', None, False),
                               ('open, channel, close', 'per s', 'churn', None, True)])

    def queues(self):
        def measure(node):
            node.start()
            time.sleep(3)
            options = ['--count', 10_000, '--parallel', 4, '--durable', '--queue', 'q']
            made = self.run(node, 'queues', *options)
            gone = self.run(node, 'queues', *options, '--delete', '--hold', 0, '--settle', 0)
            return {'rate': made['per_s'], 'cpu': made['broker_cpu_us_each'], 'rss': made['kib_per_queue'],
                    'delete': gone['per_s']}
        if self.wanted('queue'):
            self.table(self.each(measure), [('durable queue', 'CPU us/declare', 'cpu', 100, False),
                                            ('durable queue', 'declares/s', 'rate', 5000, True),
                                            ('durable queue', 'KiB each, idle', 'rss', 2, False),
                                            ('durable queue', 'deletes/s', 'delete', None, True)])

    def backlog(self):
        count = self.arguments.backlog

        def measure(node):
            node.start()
            fill = self.run(node, 'load', '--size', 1024, '--persistent', '--durable', '--confirm', 1000, '--consumers', 0,
                            '--count', count, '--time', 900, '--queue', 'backlog')
            time.sleep(2)
            rss = node.rss_mib()
            disk = subprocess.run(['du', '-sm', node.directory], capture_output=True, text=True).stdout.split()[0]
            node.kill()
            listening = node.start() * 1000
            started = time.monotonic()
            one = self.run(node, 'load', '--producers', 0, '--no-declare', '--durable', '--queue', 'backlog', '--count', 1,
                           '--time', 300, '--prefetch', 1)
            first = listening + (time.monotonic() - started) * 1000
            after = node.rss_mib()
            drain = self.run(node, 'load', '--producers', 0, '--no-declare', '--durable', '--queue', 'backlog', '--count',
                             count - one['consumed'], '--time', 900, '--prefetch', 1000)
            if drain['consumed'] + one['consumed'] < count:
                print(f'{node.name}: only {drain["consumed"]} of {count} came back', file=sys.stderr)
            time.sleep(2)
            drained = node.rss_mib()
            return {'drained': drained, 'fill': fill['conf_per_s'], 'fill_cpu': fill['broker_cpu_us_per_msg'], 'rss': rss, 'disk': float(disk),
                    'first': first, 'after': after, 'drain': drain['cons_per_s'],
                    'drain_cpu': drain['broker_cpu_us_per_msg']}
        if self.wanted('backlog'):
            name = f'backlog of {count:,} x 1 KiB'
            self.table(self.each(measure), [(name, 'MiB resident', 'rss', 150, False),
                                            (name, 'MiB on disk', 'disk', None, False),
                                            (name, 'fill, confirmed/s', 'fill', None, True),
                                            (name, 'fill, CPU us/msg', 'fill_cpu', None, False),
                                            (name, 'ms from start after kill -9 to first message', 'first', 1000, False),
                                            (name, 'MiB resident after the restart', 'after', None, False),
                                            (name, 'MiB resident after the drain', 'drained', 150, False),
                                            (name, 'drain, msg/s', 'drain', None, True),
                                            (name, 'drain, CPU us/msg', 'drain_cpu', None, False)])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--broker', default='target/dist/evenkeel', help='the binary to measure')
    parser.add_argument('--ours', action='store_true', help='leave RabbitMQ out')
    parser.add_argument('--only', default='', help='rows whose names begin so, separated by commas')
    parser.add_argument('--secs', default='6', help='seconds that a load is measured')
    parser.add_argument('--backlog', type=int, default=1_000_000, help='messages of the backlog')
    parser.add_argument('--dir', default='', help='where nodes keep their data; on the disk to be measured')
    parser.add_argument('--json', default='', help='also write the figures here')
    arguments = parser.parse_args()
    arguments.broker = os.path.abspath(arguments.broker)
    bench = Bench(arguments)
    print('| what | unit | RabbitMQ | evenkeel | ratio | aim | |\n|---|---|---:|---:|---:|---:|---|', flush=True)
    began, load = time.monotonic(), os.getloadavg()[1]
    for part in [bench.idle, bench.connections, bench.queues, bench.loads, bench.backlog]:
        part()
    print(f'\n{os.cpu_count()} processors, load average of 5 minutes {load:.1f} before and {os.getloadavg()[1]:.1f} after '
          f'{time.monotonic() - began:.0f} s')
    if arguments.json:
        with open(arguments.json, 'w') as f:
            json.dump(bench.rows, f, indent=1)
    if not arguments.dir:
        shutil.rmtree(bench.directory, ignore_errors=True)


if __name__ == '__main__':
    main()
