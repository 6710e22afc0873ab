#include "signer.hpp"

#include "wire/rdata.hpp"

#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/ecdsa.h>
#include <openssl/rsa.h>

#include <algorithm>
#include <array>
#include <set>
#include <stdexcept>

namespace sallyport::dnssec_testing {

namespace {

using wire::RrType;
using Pkey = base::Handle<EVP_PKEY, EVP_PKEY_free>;
using Number = base::Handle<BIGNUM, BN_free>;

void require(bool holds, const char* what)
{
    if (!holds) throw std::runtime_error(std::string{"signer: "} + what);
}

void append(Octets& out, base::Bytes octets) { out.insert(out.end(), octets.begin(), octets.end()); }

[[nodiscard]] bool is_rsa(std::uint8_t algorithm)
{
    return algorithm == 5 || algorithm == 7 || algorithm == 8 || algorithm == 10;
}

[[nodiscard]] Pkey generate(std::uint8_t algorithm, unsigned rsa_bits)
{
    switch (algorithm) {
    case 13: return Pkey{EVP_EC_gen("P-256")};
    case 14: return Pkey{EVP_EC_gen("P-384")};
    case 15: return Pkey{EVP_PKEY_Q_keygen(nullptr, nullptr, "ED25519")};
    case 16: return Pkey{EVP_PKEY_Q_keygen(nullptr, nullptr, "ED448")};
    default: return Pkey{EVP_RSA_gen(rsa_bits)};
    }
}

[[nodiscard]] const EVP_MD* digest_of(std::uint8_t algorithm)
{
    switch (algorithm) {
    case 5:
    case 7: return EVP_sha1();
    case 8:
    case 13: return EVP_sha256();
    case 14: return EVP_sha384();
    case 10: return EVP_sha512();
    default: return nullptr;
    }
}

[[nodiscard]] Octets number_octets(EVP_PKEY* key, const char* what)
{
    BIGNUM* raw = nullptr;
    require(EVP_PKEY_get_bn_param(key, what, &raw) == 1, what);
    const Number number{raw};
    Octets octets(static_cast<std::size_t>(BN_num_bytes(number.get())));
    BN_bn2bin(number.get(), octets.data());
    return octets;
}

/// As DNSKEY holds it (RFC 3110 §2, RFC 6605 §4, RFC 8080 §3).
[[nodiscard]] Octets public_octets(EVP_PKEY* key, std::uint8_t algorithm)
{
    if (is_rsa(algorithm)) {
        const Octets exponent = number_octets(key, OSSL_PKEY_PARAM_RSA_E);
        Octets octets{static_cast<std::uint8_t>(exponent.size())};
        append(octets, exponent);
        append(octets, number_octets(key, OSSL_PKEY_PARAM_RSA_N));
        return octets;
    }
    std::array<std::uint8_t, 128> buffer{};
    std::size_t size = buffer.size();
    if (algorithm == 15 || algorithm == 16) {
        require(EVP_PKEY_get_raw_public_key(key, buffer.data(), &size) == 1, "raw key");
        return {buffer.begin(), buffer.begin() + static_cast<std::ptrdiff_t>(size)};
    }
    require(EVP_PKEY_get_octet_string_param(key, OSSL_PKEY_PARAM_ENCODED_PUBLIC_KEY, buffer.data(), buffer.size(),
                                            &size) == 1,
            "point");
    require(buffer[0] == 4, "uncompressed point");
    return {buffer.begin() + 1, buffer.begin() + static_cast<std::ptrdiff_t>(size)};
}

[[nodiscard]] Octets plain_ecdsa(const Octets& der, int half)
{
    const std::uint8_t* at = der.data();
    const base::Handle<ECDSA_SIG, ECDSA_SIG_free> parts{d2i_ECDSA_SIG(nullptr, &at, static_cast<long>(der.size()))};
    require(parts != nullptr, "DER");
    Octets out(static_cast<std::size_t>(2 * half));
    require(BN_bn2binpad(ECDSA_SIG_get0_r(parts.get()), out.data(), half) == half, "r");
    require(BN_bn2binpad(ECDSA_SIG_get0_s(parts.get()), out.data() + half, half) == half, "s");
    return out;
}

} // namespace

wire::Name name(std::string_view text)
{
    const auto parsed = wire::Name::from_text(text);
    require(parsed.has_value(), "name");
    return *parsed;
}

Octets rdata(RrType type, std::string_view text)
{
    auto parsed = wire::rdata_from_text(type, text, wire::Name{});
    if (!parsed) throw std::runtime_error("signer: " + parsed.error().to_string() + ": " + std::string{text});
    return *parsed;
}

SigningKey SigningKey::make(std::uint8_t algorithm, std::uint16_t flags, unsigned rsa_bits)
{
    SigningKey made;
    made.key_ = generate(algorithm, rsa_bits);
    require(made.key_ != nullptr, "key generation");
    made.dnskey_ = {static_cast<std::uint8_t>(flags >> 8U), static_cast<std::uint8_t>(flags & 0xFFU), 3, algorithm};
    append(made.dnskey_, public_octets(made.key_.get(), algorithm));
    return made;
}

Octets SigningKey::ds(const wire::Name& zone, std::uint8_t digest_type) const
{
    return dnssec::make_ds(zone, dnskey_, digest_type);
}

Octets SigningKey::sign(base::Bytes data) const
{
    const base::Handle<EVP_MD_CTX, EVP_MD_CTX_free> context{EVP_MD_CTX_new()};
    require(EVP_DigestSignInit(context.get(), nullptr, digest_of(algorithm()), nullptr, key_.get()) == 1, "sign");
    std::size_t size = 0;
    require(EVP_DigestSign(context.get(), nullptr, &size, data.data(), data.size()) == 1, "size");
    Octets signature(size);
    require(EVP_DigestSign(context.get(), signature.data(), &size, data.data(), data.size()) == 1, "sign");
    signature.resize(size);
    if (algorithm() == 13) return plain_ecdsa(signature, 32);
    if (algorithm() == 14) return plain_ecdsa(signature, 48);
    return signature;
}

dnssec::RrsetView OwnedRrset::view() const
{
    rdata_views_.assign(rdatas.begin(), rdatas.end());
    signature_views_.assign(signatures.begin(), signatures.end());
    return {&owner, type, wire::RrClass::IN, wire::Ttl{ttl}, rdata_views_, signature_views_};
}

OwnedRrset rrset(std::string_view owner, RrType type, std::initializer_list<std::string_view> rdatas, std::uint32_t ttl)
{
    OwnedRrset set;
    set.owner = name(owner);
    set.type = type;
    set.ttl = ttl;
    for (const auto text : rdatas) set.rdatas.push_back(rdata(type, text));
    return set;
}

Octets make_rrsig(const OwnedRrset& set, const SigningKey& key, const wire::Name& zone, const SignatureFields& fields)
{
    const unsigned own_labels = dnssec::signed_labels(set.owner);
    const auto labels = fields.labels.value_or(static_cast<std::uint8_t>(own_labels));
    Octets out(18);
    base::store_be16(out, 0, static_cast<std::uint16_t>(fields.type_covered.value_or(set.type)));
    out[2] = fields.algorithm.value_or(key.algorithm());
    out[3] = labels;
    base::store_be32(out, 4, fields.original_ttl.value_or(set.ttl));
    base::store_be32(out, 8, static_cast<std::uint32_t>(fields.expiration));
    base::store_be32(out, 12, static_cast<std::uint32_t>(fields.inception));
    base::store_be16(out, 16, fields.key_tag.value_or(key.tag()));
    append(out, zone.wire());

    wire::Name owner = set.owner;
    if (labels < own_labels) {
        owner = *set.owner.parent(set.owner.label_count() - labels).prepend(base::as_bytes("*"));
    }
    const dnssec::RrsetView view = set.view();
    dnssec::CanonicalRrset canonical;
    require(canonical.set(set.type, view.rdatas), "canonical form");
    Octets data;
    canonical.write_signed_data(*dnssec::read_rrsig(out), owner, set.type, view.rr_class, data);
    Octets signature = key.sign(data);
    if (fields.broken) signature[signature.size() / 2] ^= 1U;
    append(out, signature);
    return out;
}

TestZone::TestZone(std::string_view apex, std::int64_t now) : apex_(name(apex)), now_(now)
{
    const std::string text = apex_.is_root() ? "" : apex_.to_text();
    add("@", RrType::SOA, "ns." + text + " hostmaster." + text + " 1 7200 3600 1209600 300");
    add("@", RrType::NS, "ns." + text);
}

wire::Name TestZone::absolute(std::string_view owner) const
{
    if (owner == "@") return apex_;
    const auto parsed = wire::Name::from_text(owner, &apex_);
    require(parsed.has_value(), "owner");
    return *parsed;
}

void TestZone::add(std::string_view owner, RrType type, std::string_view rdata_text, std::uint32_t ttl)
{
    add(absolute(owner), type, rdata(type, rdata_text), ttl);
}

void TestZone::add(const wire::Name& owner, RrType type, Octets octets, std::uint32_t ttl)
{
    OwnedRrset* set = find(owner, type);
    if (set == nullptr) {
        set = &rrsets_.emplace_back();
        set->owner = owner;
        set->type = type;
        set->ttl = ttl;
    }
    set->rdatas.push_back(std::move(octets));
}

SigningKey& TestZone::add_key(std::uint8_t algorithm, std::uint16_t flags, unsigned rsa_bits)
{
    return keys_.emplace_back(SigningKey::make(algorithm, flags, rsa_bits));
}

const OwnedRrset* TestZone::find(const wire::Name& owner, RrType type) const
{
    const auto found = std::find_if(rrsets_.begin(), rrsets_.end(),
                                    [&](const OwnedRrset& set) { return set.type == type && set.owner == owner; });
    return found == rrsets_.end() ? nullptr : &*found;
}

OwnedRrset* TestZone::find(const wire::Name& owner, RrType type)
{
    return const_cast<OwnedRrset*>(std::as_const(*this).find(owner, type));
}

const OwnedRrset* TestZone::find(std::string_view owner, RrType type) const { return find(absolute(owner), type); }

std::vector<Octets> TestZone::ds(std::uint8_t digest_type) const
{
    const bool has_ksk = std::any_of(keys_.begin(), keys_.end(), [](const SigningKey& key) { return key.is_ksk(); });
    std::vector<Octets> out;
    for (const SigningKey& key : keys_) {
        if (key.is_ksk() || !has_ksk) out.push_back(key.ds(apex_, digest_type));
    }
    return out;
}

bool TestZone::is_cut(const wire::Name& owner) const { return !(owner == apex_) && find(owner, RrType::NS) != nullptr; }

bool TestZone::is_below_cut(const wire::Name& owner) const
{
    for (wire::Name above = owner; !(above == apex_) && !above.is_root();) {
        above = above.parent();
        if (is_cut(above)) return true;
    }
    return false;
}

bool TestZone::is_signed(const OwnedRrset& set) const
{
    if (is_below_cut(set.owner)) return false;
    return !is_cut(set.owner) || set.type == RrType::DS || set.type == RrType::NSEC || set.type == RrType::NSEC3;
}

Octets type_bitmap(std::vector<RrType> types)
{
    std::sort(types.begin(), types.end());
    Octets out;
    for (std::size_t i = 0; i < types.size();) {
        const unsigned window = static_cast<unsigned>(types[i]) >> 8U;
        std::array<std::uint8_t, 32> bits{};
        std::size_t size = 0;
        for (; i < types.size() && static_cast<unsigned>(types[i]) >> 8U == window; ++i) {
            const unsigned low = static_cast<unsigned>(types[i]) & 0xFFU;
            bits[low >> 3U] = static_cast<std::uint8_t>(bits[low >> 3U] | (0x80U >> (low & 7U)));
            size = (low >> 3U) + 1;
        }
        out.push_back(static_cast<std::uint8_t>(window));
        out.push_back(static_cast<std::uint8_t>(size));
        append(out, base::Bytes{bits}.first(size));
    }
    return out;
}

Octets TestZone::types_at(const wire::Name& owner, bool nsec) const
{
    std::vector<RrType> types;
    bool any_signed = false;
    for (const OwnedRrset& set : rrsets_) {
        if (!(set.owner == owner) || set.type == RrType::NSEC || set.type == RrType::NSEC3) continue;
        if (is_cut(owner) && set.type != RrType::NS && set.type != RrType::DS) continue; // glue
        types.push_back(set.type);
        any_signed = any_signed || is_signed(set);
    }
    if (nsec) types.push_back(RrType::NSEC);
    if (nsec || any_signed) types.push_back(RrType::RRSIG);
    return type_bitmap(std::move(types));
}

void TestZone::add_nsec_chain()
{
    std::set<wire::Name> owners;
    for (const OwnedRrset& set : rrsets_) {
        if (!is_below_cut(set.owner)) owners.insert(set.owner);
    }
    for (auto at = owners.begin(); at != owners.end(); ++at) {
        const auto next = std::next(at) == owners.end() ? owners.begin() : std::next(at);
        Octets octets{next->wire().begin(), next->wire().end()};
        append(octets, types_at(*at, true));
        add(*at, RrType::NSEC, std::move(octets), 300);
    }
}

void TestZone::add_nsec3_chain(const Chain& chain)
{
    Octets parameters{1, 0, static_cast<std::uint8_t>(chain.iterations >> 8U),
                      static_cast<std::uint8_t>(chain.iterations & 0xFFU),
                      static_cast<std::uint8_t>(chain.salt.size())};
    append(parameters, chain.salt);
    add(apex_, RrType::NSEC3PARAM, parameters, 0);
    std::set<wire::Name> owners;
    for (const OwnedRrset& set : rrsets_) {
        if (is_below_cut(set.owner)) continue;
        if (chain.opt_out && is_cut(set.owner) && find(set.owner, RrType::DS) == nullptr) continue;
        for (wire::Name at = set.owner; owners.insert(at).second && !(at == apex_);) at = at.parent();
    }
    std::vector<std::pair<dnssec::Nsec3Hash, wire::Name>> hashes;
    for (const wire::Name& owner : owners) {
        hashes.emplace_back(dnssec::nsec3_hash({1, chain.iterations, chain.salt}, owner), owner);
    }
    std::sort(hashes.begin(), hashes.end(),
              [](const auto& left, const auto& right) { return left.first < right.first; });
    for (std::size_t i = 0; i < hashes.size(); ++i) {
        Octets octets = parameters;
        octets[1] = chain.opt_out ? 1 : 0;
        const auto& next = hashes[(i + 1) % hashes.size()].first;
        octets.push_back(static_cast<std::uint8_t>(next.size()));
        append(octets, next);
        append(octets, types_at(hashes[i].second, false));
        const auto label = dnssec::nsec3_label(hashes[i].first);
        add(*apex_.prepend(label), RrType::NSEC3, std::move(octets), 300);
    }
}

SignatureFields TestZone::dates() const
{
    SignatureFields fields;
    fields.inception = now_ - 86'400;
    fields.expiration = now_ + 29 * 86'400;
    return fields;
}

void TestZone::sign(const Chain& chain)
{
    for (const SigningKey& key : keys_) add(apex_, RrType::DNSKEY, key.dnskey());
    if (chain.nsec3) {
        add_nsec3_chain(chain);
    } else {
        add_nsec_chain();
    }
    const auto has = [this](bool ksk) {
        return std::any_of(keys_.begin(), keys_.end(), [ksk](const SigningKey& key) { return key.is_ksk() == ksk; });
    };
    const bool split = has(true) && has(false);
    for (OwnedRrset& set : rrsets_) {
        if (!is_signed(set)) continue;
        for (const SigningKey& key : keys_) {
            if (split && key.is_ksk() != (set.type == RrType::DNSKEY)) continue;
            set.signatures.push_back(make_rrsig(set, key, apex_, dates()));
        }
    }
}

void TestZone::sign_again(OwnedRrset& set, const SignatureFields& fields)
{
    const auto fits = [&](const SigningKey& key) { return key.is_ksk() == (set.type == RrType::DNSKEY); };
    auto key = std::find_if(keys_.begin(), keys_.end(), fits);
    if (key == keys_.end()) key = keys_.begin();
    set.signatures = {make_rrsig(set, *key, apex_, fields)};
}

std::vector<dnssec::DenialRecord> TestZone::denial_records() const
{
    std::vector<dnssec::DenialRecord> out;
    for (const OwnedRrset& set : rrsets_) {
        if (set.type == RrType::NSEC || set.type == RrType::NSEC3) out.push_back({&set.owner, set.type, set.rdatas[0]});
    }
    return out;
}

std::string TestZone::to_text() const
{
    std::string text;
    for (const OwnedRrset& set : rrsets_) {
        const std::string start = set.owner.to_text() + ' ' + std::to_string(set.ttl) + " IN ";
        for (const Octets& octets : set.rdatas) {
            text += start + wire::to_string(set.type) + ' ' + wire::rdata_to_text(set.type, octets) + '\n';
        }
        for (const Octets& octets : set.signatures) {
            text += start + "RRSIG " + wire::rdata_to_text(RrType::RRSIG, octets) + '\n';
        }
    }
    return text;
}

} // namespace sallyport::dnssec_testing
