// fuzz: links sallyport_dnssec
#include "dnssec/openssl_handle.hpp"
#include "dnssec/verify.hpp"
#include "wire/message_view.hpp"
#include "wire/rdata.hpp"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <vector>

using namespace sallyport;
using namespace sallyport::dnssec;

namespace {

using Octets = std::vector<std::uint8_t>;

constexpr std::int64_t kNow = 1'800'000'000;

void require(bool holds)
{
    if (!holds) std::abort();
}

/// Runs to the end with new turns as wanted; work is bounded whatever the input.
template <class Work>
void finish(Work& work, Budget& budget)
{
    for (unsigned turns = 0; work.step(budget) == Step::again; ++turns) {
        require(turns < 100);
        budget.begin_turn();
    }
    require(budget.checks() <= budget.limits().signature_checks);
}

/// What is signed in the second form of input: www.example. A, by a key that is always the same. Ed25519 signatures are
/// the same each time, so a seed can hold the right one.
struct Truth {
    Truth()
    {
        constexpr std::array<std::uint8_t, 32> kSecret{7};
        const PkeyHandle key{EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, nullptr, kSecret.data(), kSecret.size())};
        dnskey = {1, 0, 3, 15};
        dnskey.resize(4 + 32);
        std::size_t size = 32;
        require(EVP_PKEY_get_raw_public_key(key.get(), dnskey.data() + 4, &size) == 1);
        rrsig = {0, 1, 15, 2, 0, 0, 0x0E, 0x10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0};
        base::store_be32(rrsig, 8, static_cast<std::uint32_t>(kNow + 86'400));
        base::store_be32(rrsig, 12, static_cast<std::uint32_t>(kNow - 86'400));
        base::store_be16(rrsig, 16, key_tag(dnskey));
        rrsig.insert(rrsig.end(), zone.wire().begin(), zone.wire().end());
        const std::vector<base::Bytes> views{rdatas.begin(), rdatas.end()};
        CanonicalRrset canonical;
        require(canonical.set(wire::RrType::A, views));
        Octets data;
        canonical.write_signed_data(*read_rrsig(rrsig), owner, wire::RrType::A, wire::RrClass::IN, data);
        const DigestContext context{EVP_MD_CTX_new()};
        std::array<std::uint8_t, 64> signature{};
        size = signature.size();
        require(EVP_DigestSignInit(context.get(), nullptr, nullptr, nullptr, key.get()) == 1);
        require(EVP_DigestSign(context.get(), signature.data(), &size, data.data(), data.size()) == 1);
        rrsig.insert(rrsig.end(), signature.begin(), signature.end());
    }
    wire::Name owner = *wire::Name::from_text("www.example.");
    wire::Name zone = *wire::Name::from_text("example.");
    std::vector<Octets> rdatas{{192, 0, 2, 1}, {192, 0, 2, 2}};
    Octets dnskey;
    Octets rrsig;
};

const Truth& truth()
{
    static const Truth kTruth;
    return kTruth;
}

class Input {
public:
    explicit Input(base::Bytes bytes) : rest_(bytes) {}
    base::Bytes take(std::size_t size)
    {
        const auto taken = rest_.first(std::min(size, rest_.size()));
        rest_ = rest_.subspan(taken.size());
        return taken;
    }
    std::uint8_t octet()
    {
        const auto one = take(1);
        return one.empty() ? std::uint8_t{0} : one[0];
    }

private:
    base::Bytes rest_;
};

/// `owner size, owner, count, {size, rdata}, size, rrsig`: what is accepted is what was signed, letter case and order
/// and repeats apart.
void check_one_set(Input input)
{
    const auto owner = wire::Name::from_wire(input.take(input.octet()));
    if (!owner) return;
    std::vector<base::Bytes> rdatas;
    for (unsigned count = input.octet() % 8; count > 0; --count) rdatas.push_back(input.take(input.octet()));
    const base::Bytes rrsig = input.take(input.octet());
    const base::Bytes dnskey = truth().dnskey;
    const Policy policy;
    ZoneKeys keys{truth().zone, {&dnskey, 1}, policy.algorithms};
    const RrsetView set{&*owner, wire::RrType::A, wire::RrClass::IN, wire::Ttl{60}, rdatas, {&rrsig, 1}};
    RrsetVerifier verifier{set, keys, policy, kNow};
    Budget budget{policy.limits};
    finish(verifier, budget);
    if (!verifier.verdict().is_secure()) return;
    require(*owner == truth().owner);
    require(base::equal(rrsig.first(18), base::Bytes{truth().rrsig}.first(18)));
    CanonicalRrset canonical;
    require(canonical.set(wire::RrType::A, rdatas));
    require(canonical.rdatas().size() == truth().rdatas.size());
    for (std::size_t i = 0; i < truth().rdatas.size(); ++i) {
        require(base::equal(canonical.rdatas()[i], truth().rdatas[i]));
    }
}

struct Held {
    wire::Name owner;
    wire::RrType type{};
    std::vector<Octets> rdatas;
    std::vector<Octets> signatures;
};

std::vector<Held> collect(const wire::MessageView& message)
{
    std::vector<Held> sets;
    const auto set_of = [&](const wire::Name& owner, wire::RrType type) -> Held& {
        for (Held& set : sets) {
            if (set.type == type && set.owner == owner) return set;
        }
        sets.push_back({owner, type, {}, {}});
        return sets.back();
    };
    for (const wire::RecordView& record : message.records()) {
        if (wire::is_meta(record.type) || sets.size() > 64) continue;
        Octets octets;
        if (!wire::decompress_rdata(message.bytes(), record.rdata_offset,
                                    static_cast<std::uint16_t>(record.rdata.size()), record.type, octets)) {
            continue;
        }
        const auto covered = type_covered(octets);
        if (record.type == wire::RrType::RRSIG && covered) {
            set_of(record.owner.to_name(), *covered).signatures.push_back(std::move(octets));
        } else {
            set_of(record.owner.to_name(), record.type).rdatas.push_back(std::move(octets));
        }
    }
    return sets;
}

/// A whole message: its keys judge its sets, its DS its keys.
void check_message(base::Bytes bytes)
{
    const auto message = wire::MessageView::parse(bytes);
    if (!message) return;
    const auto sets = collect(*message);
    Policy policy;
    policy.algorithms = Algorithms::recommended(true, true);
    Budget budget{policy.limits};
    for (const Held& set : sets) {
        const std::vector<base::Bytes> rdatas{set.rdatas.begin(), set.rdatas.end()};
        const std::vector<base::Bytes> signatures{set.signatures.begin(), set.signatures.end()};
        const RrsetView view{&set.owner, set.type, wire::RrClass::IN, wire::Ttl{60}, rdatas, signatures};
        for (const Held& other : sets) {
            const std::vector<base::Bytes> others{other.rdatas.begin(), other.rdatas.end()};
            if (other.type == wire::RrType::DNSKEY) {
                ZoneKeys keys{other.owner, others, policy.algorithms};
                RrsetVerifier verifier{view, keys, policy, kNow};
                finish(verifier, budget);
                if (verifier.verdict().is_secure()) require(!signatures.empty() && set.owner.is_under(other.owner));
            }
            if (other.type == wire::RrType::DS && set.type == wire::RrType::DNSKEY && other.owner == set.owner) {
                KeysVerifier verifier{view, {others, {}}, policy, kNow};
                finish(verifier, budget);
                if (verifier.verdict().is_secure()) require(!verifier.take_keys().empty());
            }
        }
    }
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    if (size == 0 || size > 8'192) return 0;
    const base::Bytes bytes{data + 1, size - 1};
    if ((data[0] & 1U) != 0) {
        check_one_set(Input{bytes});
    } else {
        check_message(bytes);
    }
    return 0;
}
