// bench: links sallyport_dnssec
#include "dnssec/denial.hpp"
#include "dnssec/openssl_handle.hpp"
#include "dnssec/verify.hpp"
#include "wire/rdata.hpp"

#include <benchmark/benchmark.h>
#include <openssl/rsa.h>

#include <cstdlib>
#include <string>
#include <vector>

using namespace sallyport;
using namespace sallyport::dnssec;

namespace {

using Octets = std::vector<std::uint8_t>;

constexpr std::int64_t kNow = 1'283'000'000;

wire::Name name(std::string_view text) { return *wire::Name::from_text(text); }
Octets rdata(wire::RrType type, const char* text) { return *wire::rdata_from_text(type, text, wire::Name{}); }

/// A key and what it signed, as the RFC of the algorithm has it.
struct Example {
    const char* label;
    const char* zone;
    const char* dnskey;
    const char* owner;
    wire::RrType type;
    const char* data;
    const char* rrsig;
};

constexpr Example kExamples[] = {
    {"rsa_sha512_1024", "example.net.",
     "256 3 10 "
     "AwEAAdHoNTOW+et86KuJOWRDp1pndvwb6Y83nSVXXyLA3DLroROUkN6X0O6pnWnjJQujX/AyhqFDxj13tOnD9u/1kTg7cV6rklMrZDtJCQ5P"
     "Cl/D7QNPsgVsMu1J2Q8gpMpztNFLpPBz1bWXjDtaR7ZQBlZ3PFY12ZTSncorffcGmhOL",
     "www.example.net.", wire::RrType::A, "192.0.2.91",
     "A 10 3 3600 20300101000000 20000101000000 3740 example.net. "
     "tsb4wnjRUDnB1BUi+t6TMTXThjVnG+eCkWqjvvjhzQL1d0YRoOe0Cbxr"
     "VDYd0xDtsuJRaeUw1ep94PzEWzr0iGYgZBWm/"
     "zpq+9fOuagYJRfDqfReKBzMweOLDiNa8iP5g9vMhpuv6OPlvpXwm9Sa9ZXIbNl1MBGk0fthPgxdDL"
     "w="},
    {"ecdsa_p256", "example.net.",
     "257 3 13 GojIhhXUN/u4v54ZQqGSnyhWJwaubCvTmeexv7bR6edbkrSqQpF64cYbcB7wNcP+e+MAnLr+Wi9xMWyQLc8NAA==",
     "www.example.net.", wire::RrType::A, "192.0.2.1",
     "A 13 3 3600 20100909100439 20100812100439 55648 example.net. "
     "qx6wLYqmh+l9oCKTN6qIc+bw6ya+KJ8oMz0YP107epXAyGmt+3SNruPF"
     "KG7tZoLBLlUzGGus7ZwmwWep666VCw=="},
    {"ecdsa_p384", "example.net.",
     "257 3 14 "
     "xKYaNhWdGOfJ+nPrL8/arkwf2EY3MDJ+SErKivBVSum1w/egsXvSADtNJhyem5RCOpgQ6K8X1DRSEkrbYQ+OB+v8/uX45NBwY8rp65F6Glur"
     "8I/mlVNgF6W/qTI37m40",
     "www.example.net.", wire::RrType::A, "192.0.2.1",
     "A 14 3 3600 20100909102025 20100812102025 10771 example.net. "
     "/L5hDKIvGDyI1fcARX3z65qrmPsVz73QD1Mr5CEqOiLP95hxQouuroGC"
     "eZOvzFaxsT8Glr74hbavRKayJNuydCuzWTSSPdz7wnqXL5bdcJzusdnI0RSMROxxwGipWcJm"},
    {"ed25519", "example.com.", "257 3 15 l02Woi0iS8Aa25FQkUd9RMzZHJpBoRQwAQEX1SxZJA4=", "example.com.",
     wire::RrType::MX, "10 mail.example.com.",
     "MX 15 2 3600 1440021600 1438207200 3613 example.com. "
     "oL9krJun7xfBOIWcGHi7mag5/hdZrKWw15jPGrHpjQeRAvTdszaPD+QLs3fx8A4M"
     "3e23mRZ9VrbpMngwcrqNAg=="},
    {"ed448", "example.com.", "257 3 16 3kgROaDjrh0H2iuixWBrc8g2EpBBLCdGzHmn+G2MpTPhpj/OiBVHHSfPodx1FYYUcJKm1MDpJtIA",
     "example.com.", wire::RrType::MX, "10 mail.example.com.",
     "MX 16 2 3600 1440021600 1438207200 9713 example.com. "
     "3cPAHkmlnxcDHMyg7vFC34l0blBhuG1qpwLmjInI8w1CMB29FkEAIJUA0amxWndk"
     "mnBZ6SKiwZSAxGILn/NBtOXft0+Gj7FSvOKxE/07+4RQvE581N3Aj/JtIyaiYVdnYtyMWbSNyGEY2213WKsJlwEA"},
};

/// One RRset with a key that is ready: what a validation costs once the zone is known.
void verify_rrset(benchmark::State& state)
{
    const Example& example = kExamples[state.range(0)];
    state.SetLabel(example.label);
    const Octets data = rdata(example.type, example.data);
    const Octets signature = rdata(wire::RrType::RRSIG, example.rrsig);
    const Octets key = rdata(wire::RrType::DNSKEY, example.dnskey);
    const base::Bytes data_view = data;
    const base::Bytes signature_view = signature;
    const base::Bytes key_view = key;
    const wire::Name owner = name(example.owner);
    Policy policy;
    policy.check_dates = false;
    ZoneKeys keys{name(example.zone), {&key_view, 1}, policy.algorithms};
    for (auto _ : state) {
        Budget budget{policy.limits};
        RrsetVerifier verifier{
            {&owner, example.type, wire::RrClass::IN, wire::Ttl{60}, {&data_view, 1}, {&signature_view, 1}},
            keys,
            policy,
            kNow};
        if (verifier.step(budget) != Step::done || !verifier.verdict().is_secure()) std::abort();
    }
}
BENCHMARK(verify_rrset)->DenseRange(0, 4);

/// Reading a key, which a zone costs once.
void read_key(benchmark::State& state)
{
    const Example& example = kExamples[state.range(0)];
    state.SetLabel(example.label);
    const Octets key = rdata(wire::RrType::DNSKEY, example.dnskey);
    for (auto _ : state) {
        const PublicKey read = PublicKey::make(key[3], base::Bytes{key}.subspan(4));
        if (!read.is_usable()) std::abort();
    }
}
BENCHMARK(read_key)->DenseRange(0, 4);

/// RSA of 2,048 bits with SHA-256, the usual zone-signing key.
void verify_rsa_2048(benchmark::State& state)
{
    const PkeyHandle pair{EVP_RSA_gen(2048)};
    BIGNUM* raw = nullptr;
    if (EVP_PKEY_get_bn_param(pair.get(), OSSL_PKEY_PARAM_RSA_N, &raw) != 1) std::abort();
    const BignumHandle modulus{raw};
    Octets octets{3, 1, 0, 1};
    octets.resize(4 + 256);
    BN_bn2bin(modulus.get(), octets.data() + 4);
    const Octets data(200, 7);
    Octets signature(256);
    std::size_t size = signature.size();
    const DigestContext context{EVP_MD_CTX_new()};
    if (EVP_DigestSignInit(context.get(), nullptr, EVP_sha256(), nullptr, pair.get()) != 1 ||
        EVP_DigestSign(context.get(), signature.data(), &size, data.data(), data.size()) != 1) {
        std::abort();
    }
    const PublicKey key = PublicKey::make(8, octets);
    for (auto _ : state) {
        if (!key.verify(data, signature)) std::abort();
    }
}
BENCHMARK(verify_rsa_2048);

/// Canonical form and order of an NS RRset.
void canonical_form(benchmark::State& state)
{
    std::vector<Octets> octets;
    for (std::int64_t i = 0; i < state.range(0); ++i) {
        octets.push_back(rdata(wire::RrType::NS, ("NS" + std::to_string(97 * i % 1000) + ".Example.NET.").c_str()));
    }
    const std::vector<base::Bytes> views{octets.begin(), octets.end()};
    const Octets rrsig = rdata(wire::RrType::RRSIG, kExamples[1].rrsig);
    const auto signature = read_rrsig(rrsig);
    const wire::Name owner = name("example.net.");
    Octets data;
    for (auto _ : state) {
        CanonicalRrset set;
        if (!set.set(wire::RrType::NS, views)) std::abort();
        set.write_signed_data(*signature, owner, wire::RrType::NS, wire::RrClass::IN, data);
        benchmark::DoNotOptimize(data.data());
    }
}
BENCHMARK(canonical_form)->Arg(1)->Arg(4)->Arg(13)->Arg(256);

void hash_name(benchmark::State& state)
{
    const Octets salt(8, 0xAA);
    const wire::Name owner = name("www.department.example.net.");
    for (auto _ : state) {
        auto hash = nsec3_hash({1, static_cast<std::uint16_t>(state.range(0)), salt}, owner);
        benchmark::DoNotOptimize(hash);
    }
}
BENCHMARK(hash_name)->Arg(0)->Arg(10)->Arg(50);

/// A name error by NSEC: two records.
void nsec_name_error(benchmark::State& state)
{
    const wire::Name zone = name("example.net.");
    const wire::Name qname = name("m.example.net.");
    const wire::Name owner = name("a.example.net.");
    const Octets apex = rdata(wire::RrType::NSEC, "a.example.net. NS SOA RRSIG NSEC DNSKEY");
    const Octets cover = rdata(wire::RrType::NSEC, "z.example.net. A RRSIG NSEC");
    const DenialRecord records[] = {{&zone, wire::RrType::NSEC, apex}, {&owner, wire::RrType::NSEC, cover}};
    for (auto _ : state) {
        Budget budget{{}};
        DenialProver prover{{&qname, wire::RrType::A, &zone, Claim::name_error, 0}, records};
        if (prover.step(budget) != Step::done || prover.result().finding != Finding::name_error) std::abort();
    }
}
BENCHMARK(nsec_name_error);

void key_digest(benchmark::State& state)
{
    const wire::Name zone = name(kExamples[1].zone);
    const Octets key = rdata(wire::RrType::DNSKEY, kExamples[1].dnskey);
    const Octets ds = make_ds(zone, key, static_cast<std::uint8_t>(state.range(0)));
    const auto view = read_ds(ds);
    for (auto _ : state) {
        if (!ds_matches(*view, zone, key)) std::abort();
    }
}
BENCHMARK(key_digest)->Arg(1)->Arg(2)->Arg(4);

} // namespace
