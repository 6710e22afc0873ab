#!/usr/bin/env python3
"""`sallyport ask`: what it prints, its exit codes, and one clear line for each thing that goes wrong."""

import json
import os
import socket
import subprocess
import sys
import threading
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from gateway import BINARY, HAS_QUIC, PATIENCE, Gateway, framed, free_port, read_framed

ANSWERED, USAGE, NO_ANSWER = 0, 2, 9
GATE = None


def setUpModule():
    global GATE
    GATE = Gateway()


def tearDownModule():
    code = GATE.stop()
    assert code == 0, f"the gateway ended with {code}:\n{GATE.log()}"


def ask(*words, stdin=None):
    return subprocess.run([BINARY, "ask", *map(str, words)], capture_output=True, text=True, timeout=3 * PATIENCE, input=stdin)


def tls(*words):
    return ["--ca", GATE.ca, "--name", "gate.test", *words]


class Answers(unittest.TestCase):
    def answered(self, *words, stdin=None):
        result = ask("--timeout", PATIENCE, *words, stdin=stdin)
        self.assertEqual((result.returncode, result.stderr), (ANSWERED, ""), result.stdout)
        return result.stdout

    def test_text_says_how_the_answer_came(self):
        text = self.answered("www.gate.test", "--dot", f"127.0.0.1:{GATE.dot}", *tls())
        for words in ("192.0.2.80", "DNS over TLS", "TLSv1.3", "ALPN dot", "resumed: no", "issuer", "the certificate is for gate.test",
                      "handshake", "MSG SIZE"):
            self.assertIn(words, text)

    def test_json_of_each_door(self):
        doors = {"udp": GATE.do53, "tcp": GATE.do53, "dot": GATE.dot, "doh": GATE.tls, "doh1": GATE.tls}
        if HAS_QUIC:
            doors |= {"doq": GATE.dot, "doh3": GATE.tls}
        names = {"doh": "doh2"}
        for door, port in doors.items():
            with self.subTest(door=door):
                answer = json.loads(self.answered("www.gate.test", f"--{door}", f"127.0.0.1:{port}", "--json", *tls()))
                self.assertEqual(answer["transport"], names.get(door, door))
                self.assertEqual(answer["message"]["Answer"][0]["data"], "192.0.2.80")
                if door not in ("udp", "tcp"):
                    self.assertTrue(answer["tls"]["verified"])
                    self.assertEqual(answer["message"]["ID"] == 0, door != "dot")
                    self.assertEqual(answer["query_size"] % 128, 0)

    def test_a_name_that_is_not_there_is_an_answer(self):
        self.assertIn("NXDOMAIN", self.answered("missing.gate.test", "--udp", f"127.0.0.1:{GATE.do53}"))

    def test_truncated_answers_are_asked_for_over_tcp(self):
        where = ["big.gate.test", "TXT", "--udp", f"127.0.0.1:{GATE.do53}"]
        self.assertIn("asked again over TCP", self.answered(*where))
        self.assertEqual(len(self.answered(*where, "--short").splitlines()), 110)
        self.assertTrue(json.loads(self.answered(*where, "--ignore", "--json"))["message"]["TC"])

    def test_a_url_with_an_address_to_connect_to(self):
        url = f"https://gate.test:{GATE.tls}/dns-query{{?dns}}"
        text = self.answered("www.gate.test", "--doh", url, "--at", "127.0.0.1", "--ca", GATE.ca)
        self.assertIn("ALPN h2", text)
        self.assertIn("max-age=300", text)

    def test_repetitions_reuse_or_resume(self):
        where = ["www.gate.test", "--repeat", 2, "--json"]
        doors = [("--dot", GATE.dot)] + ([("--doq", GATE.dot), ("--doh3", GATE.tls)] if HAS_QUIC else [])
        for door, port in doors:
            with self.subTest(door=door):
                lines = [json.loads(l) for l in self.answered(*where, door, f"127.0.0.1:{port}", *tls()).splitlines()]
                self.assertEqual([line["reused"] for line in lines], [False, True, True])
                lines = [json.loads(l) for l in self.answered(*where, door, f"127.0.0.1:{port}", *tls("--reconnect")).splitlines()]
                self.assertEqual([line["tls"]["resumed"] for line in lines], [False, True, True])

    @unittest.skipUnless(HAS_QUIC, "this build has no QUIC")
    def test_early_data_that_is_refused_is_asked_again(self):
        lines = self.answered("www.gate.test", "--doq", f"127.0.0.1:{GATE.dot}", "--repeat", 1, "--reconnect", "--early-data", "--json", *tls())
        self.assertFalse(json.loads(lines.splitlines()[1])["tls"]["early_data"])

    @unittest.skipUnless(HAS_QUIC, "this build has no QUIC")
    def test_early_data_where_configured(self):
        gate = Gateway(start=False)
        gate.config.write_text(gate.config.read_text().replace("doq: { on:", "doq: { early_data: true, on:"))
        gate.start()
        with gate:
            lines = self.answered("www.gate.test", "--doq", f"127.0.0.1:{gate.dot}", "--repeat", 2, "--reconnect", "--early-data", "--json",
                                  "--ca", gate.ca, "--name", "gate.test").splitlines()
            self.assertEqual([json.loads(line)["tls"]["early_data"] for line in lines], [False, True, True])
            self.assertEqual([len(json.loads(line)["message"]["Answer"]) for line in lines], [1, 1, 1])

    def test_edns_options(self):
        text = self.answered("www.gate.test", "--udp", f"127.0.0.1:{GATE.do53}", "--cookie", "--nsid", "--subnet", "192.0.2.0/24", "--dnssec")
        self.assertIn("COOKIE", text)
        plain = self.answered("www.gate.test", "--udp", f"127.0.0.1:{GATE.do53}", "--no-edns")
        self.assertNotIn("EDNS", plain)

    def test_batch_from_standard_input(self):
        lines = "www.gate.test\n; a comment\nmail.gate.test A IN\n\nmissing.gate.test AAAA\n"
        out = self.answered("--batch", "-", "--json", "--dot", f"127.0.0.1:{GATE.dot}", *tls(), stdin=lines)
        self.assertEqual([json.loads(l)["question"]["name"] for l in out.splitlines()],
                         ["www.gate.test.", "mail.gate.test.", "missing.gate.test."])

    def test_insecure_says_so_loudly(self):
        result = ask("www.gate.test", "--dot", f"127.0.0.1:{GATE.dot}", "--insecure")
        self.assertEqual(result.returncode, ANSWERED)
        self.assertIn("WARNING", result.stderr)
        self.assertIn("NOT VERIFIED", result.stdout)


class Failures(unittest.TestCase):
    def one_line(self, code, words, *arguments):
        result = ask(*arguments)
        self.assertEqual(result.returncode, code, result.stdout + result.stderr)
        self.assertEqual(len(result.stderr.splitlines()), 1, result.stderr)
        self.assertRegex(result.stderr, words)

    def test_what_is_wrong_with_the_server(self):
        dot = ["www.gate.test", "--dot"]
        self.one_line(NO_ANSWER, "connection refused", *dot, f"127.0.0.1:{free_port()}")
        self.one_line(NO_ANSWER, "not trusted.*--ca certs/dev/ca.crt", *dot, f"127.0.0.1:{GATE.dot}")
        self.one_line(NO_ANSWER, "not for other.test", *dot, f"127.0.0.1:{GATE.dot}", "--ca", GATE.ca, "--name", "other.test")
        self.one_line(NO_ANSWER, "no CA certificate", *dot, f"127.0.0.1:{GATE.dot}", "--ca", "/nowhere")
        self.one_line(NO_ANSWER, "404", "www.gate.test", "--doh", f"127.0.0.1:{GATE.tls}", "--path", "/elsewhere", *tls())
        self.one_line(NO_ANSWER, "connection refused", "www.gate.test", "--udp", f"127.0.0.1:{free_port()}")

    @unittest.skipUnless(HAS_QUIC, "this build has no QUIC")
    def test_what_is_wrong_over_quic(self):
        doq = ["www.gate.test", "--doq", f"127.0.0.1:{GATE.dot}"]
        self.one_line(NO_ANSWER, "not trusted", *doq)
        self.one_line(NO_ANSWER, "not for other.test", *doq, "--ca", GATE.ca, "--name", "other.test")
        self.one_line(NO_ANSWER, "application protocol", "www.gate.test", "--doh3", f"127.0.0.1:{GATE.dot}", *tls())

    def test_a_server_that_says_nothing(self):
        with socket.socket(type=socket.SOCK_DGRAM) as silent, socket.socket() as still:
            silent.bind(("127.0.0.1", 0))
            still.bind(("127.0.0.1", 0))
            still.listen()
            udp, tcp = silent.getsockname()[1], still.getsockname()[1]
            self.one_line(NO_ANSWER, "no answer in time .2 tries", "a.test", "--udp", f"127.0.0.1:{udp}", "--timeout", 0.2, "--retry", 1)
            self.one_line(NO_ANSWER, "no answer", "a.test", "--tcp", f"127.0.0.1:{tcp}", "--timeout", 0.3)
            self.one_line(NO_ANSWER, "in time", "a.test", "--dot", f"127.0.0.1:{tcp}", "--timeout", 0.3)

    def test_an_answer_to_another_question(self):
        with socket.create_server(("127.0.0.1", 0)) as server:
            threading.Thread(target=self.answer_another, args=(server,), daemon=True).start()
            self.one_line(NO_ANSWER, "does not fit.*another question", "a.test", "--tcp", f"127.0.0.1:{server.getsockname()[1]}")

    @staticmethod
    def answer_another(server):
        connection, _ = server.accept()
        with connection:
            message = bytearray(read_framed(connection))
            message[2] |= 0x80
            message[13] = ord("b")
            connection.sendall(framed(bytes(message)))
            connection.recv(1)

    def test_usage(self):
        for words in ([], ["a.test", "NOTYPE"], ["a..test"], ["a.test", "--udp", "127.0.0.1:99999"], ["a.test", "--udp", "1.1.1.1", "--tcp", "1.1.1.1"],
                      ["a.test", "--doh", "https://"], ["--batch", "/nowhere"], ["a.test", "--subnet", "x"], ["a.test", "--wings"]):
            result = ask(*words)
            self.assertEqual(result.returncode, USAGE, words)
            self.assertNotEqual(result.stderr, "", words)


if __name__ == "__main__":
    unittest.main()
