// fuzz: links sallyport_dnssec
#include "dnssec/denial.hpp"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <map>
#include <set>
#include <string>
#include <vector>

using namespace sallyport;
using namespace sallyport::dnssec;
using enum wire::RrType;

namespace {

using Octets = std::vector<std::uint8_t>;

void require(bool holds)
{
    if (!holds) std::abort();
}

class Input {
public:
    explicit Input(base::Bytes bytes) : rest_(bytes) {}
    std::uint8_t octet()
    {
        if (rest_.empty()) return 0;
        const std::uint8_t first = rest_[0];
        rest_ = rest_.subspan(1);
        return first;
    }
    base::Bytes take(std::size_t size)
    {
        const auto taken = rest_.first(std::min(size, rest_.size()));
        rest_ = rest_.subspan(taken.size());
        return taken;
    }

private:
    base::Bytes rest_;
};

const wire::Name& zone()
{
    static const wire::Name kZone = *wire::Name::from_text("z.");
    return kZone;
}

/// Names of few labels, so that they meet.
wire::Name read_name(Input& input)
{
    constexpr std::array<std::string_view, 6> kLabels = {"a", "b", "c", "*", "d", "e"};
    wire::Name name = zone();
    for (unsigned depth = input.octet() % 5; depth > 0; --depth) {
        const auto longer = name.prepend(base::as_bytes(kLabels[input.octet() % kLabels.size()]));
        if (longer) name = *longer;
    }
    return name;
}

Octets bitmap(const std::set<wire::RrType>& types)
{
    std::array<std::uint8_t, 32> bits{};
    std::size_t size = 0;
    for (const wire::RrType type : types) {
        const auto number = static_cast<unsigned>(type);
        bits[number >> 3U] = static_cast<std::uint8_t>(bits[number >> 3U] | (0x80U >> (number & 7U)));
        size = std::max<std::size_t>(size, (number >> 3U) + 1);
    }
    Octets out;
    if (size == 0) return out;
    out = {0, static_cast<std::uint8_t>(size)};
    out.insert(out.end(), bits.begin(), bits.begin() + static_cast<std::ptrdiff_t>(size));
    return out;
}

/// A zone as it is, so that every proof can be held against it.
class Model {
public:
    explicit Model(Input& input)
    {
        types_[zone()] = {SOA, NS};
        for (unsigned count = input.octet() % 12; count > 0; --count) {
            const wire::Name name = read_name(input); // in this order with every compiler
            add(name, input.octet());
        }
        std::vector<wire::Name> hidden;
        for (const auto& [name, types] : types_) {
            if (is_below_cut(name)) hidden.push_back(name);
        }
        for (const wire::Name& name : hidden) types_.erase(name);
    }

    [[nodiscard]] bool is_cut(const wire::Name& name) const { return has(name, NS) && !has(name, SOA); }
    [[nodiscard]] bool is_below_cut(const wire::Name& name) const
    {
        for (wire::Name above = name; !(above == zone());) {
            above = above.parent();
            if (is_cut(above) || has(above, DNAME)) return true;
        }
        return false;
    }
    [[nodiscard]] bool has(const wire::Name& name, wire::RrType type) const
    {
        const auto found = types_.find(name);
        return found != types_.end() && found->second.contains(type);
    }
    [[nodiscard]] bool exists(const wire::Name& name) const
    {
        return std::any_of(types_.begin(), types_.end(), [&](const auto& entry) { return entry.first.is_under(name); });
    }
    [[nodiscard]] wire::Name closest_encloser(wire::Name name) const
    {
        while (!exists(name)) name = name.parent();
        return name;
    }
    /// Where the answer comes from: the name, or the wildcard that stands for it; nothing for a name error.
    [[nodiscard]] std::optional<wire::Name> source(const wire::Name& name) const
    {
        if (exists(name)) return name;
        const auto wildcard = closest_encloser(name).prepend(base::as_bytes("*"));
        if (exists(*wildcard)) return *wildcard;
        return std::nullopt;
    }
    [[nodiscard]] const std::map<wire::Name, std::set<wire::RrType>>& names() const { return types_; }

private:
    void add(const wire::Name& name, std::uint8_t what)
    {
        constexpr std::array<wire::RrType, 4> kData = {A, TXT, MX, DNAME};
        auto& types = types_[name];
        if (name == zone()) return;
        if ((what & 0xC0U) == 0xC0U) {
            types = (what & 1U) != 0 ? std::set{NS, DS} : std::set{NS};
        } else if ((what & 0xC0U) == 0x80U) {
            types = {CNAME};
        } else {
            if (types.contains(CNAME) || types.contains(NS)) types.clear();
            types.insert(kData[what % kData.size()]);
        }
    }
    std::map<wire::Name, std::set<wire::RrType>> types_;
};

struct Record {
    wire::Name owner;
    wire::RrType type;
    Octets rdata;
};

std::vector<Record> nsec_chain(const Model& model)
{
    std::vector<Record> chain;
    const auto& names = model.names();
    for (auto at = names.begin(); at != names.end(); ++at) {
        const auto next = std::next(at) == names.end() ? names.begin() : std::next(at);
        Octets rdata{next->first.wire().begin(), next->first.wire().end()};
        auto types = at->second;
        types.insert({NSEC, RRSIG});
        const Octets bits = bitmap(types);
        rdata.insert(rdata.end(), bits.begin(), bits.end());
        chain.push_back({at->first, NSEC, std::move(rdata)});
    }
    return chain;
}

std::vector<Record> nsec3_chain(const Model& model, bool opt_out)
{
    std::map<Nsec3Hash, std::set<wire::RrType>> hashes;
    for (const auto& [name, types] : model.names()) {
        if (opt_out && model.is_cut(name) && !types.contains(DS)) continue;
        hashes[nsec3_hash({}, name)] = types;
        for (wire::Name above = name; !(above == zone());) {
            above = above.parent();
            if (!model.names().contains(above)) hashes[nsec3_hash({}, above)]; // an empty non-terminal
        }
    }
    std::vector<Record> chain;
    for (auto at = hashes.begin(); at != hashes.end(); ++at) {
        const auto next = std::next(at) == hashes.end() ? hashes.begin() : std::next(at);
        Octets rdata{1, static_cast<std::uint8_t>(opt_out ? 1 : 0), 0, 0, 0, 20};
        rdata.insert(rdata.end(), next->first.begin(), next->first.end());
        const Octets bits = bitmap(at->second);
        rdata.insert(rdata.end(), bits.begin(), bits.end());
        chain.push_back({*zone().prepend(nsec3_label(at->first)), NSEC3, std::move(rdata)});
    }
    return chain;
}

Denial prove(const DenialQuestion& question, const std::vector<Record>& chain)
{
    std::vector<DenialRecord> records;
    for (const Record& record : chain) records.push_back({&record.owner, record.type, record.rdata});
    DenialProver prover{question, records};
    Budget budget{{}};
    for (unsigned turns = 0; prover.step(budget) == Step::again; ++turns) {
        require(turns < 100);
        budget.begin_turn();
    }
    require(budget.hashes() <= 600);
    const Denial& denial = prover.result();
    require((denial.finding == Finding::nothing) == denial.verdict.is_bogus());
    return denial;
}

/// Nothing is proven that is not so.
void hold_against(const Model& model, const DenialQuestion& question, const Denial& denial)
{
    const wire::Name& qname = *question.qname;
    const auto source = model.source(qname);
    const auto lacks = [&](wire::RrType type) { return !model.has(*source, type) && !model.has(*source, CNAME); };
    if (denial.finding == Finding::nothing || denial.verdict.is_insecure()) return;
    // Whoever owns the delegation says nothing of what is below. That a wildcard is no such thing its signature says.
    require(!model.is_below_cut(qname) || denial.finding == Finding::wildcard_expansion);
    switch (denial.finding) {
    case Finding::name_error: require(!source); break;
    case Finding::no_data:
    case Finding::empty_non_terminal:
    case Finding::wildcard_no_data:
        require(source && lacks(question.qtype));
        require(question.qtype == DS || !model.is_cut(*source));
        break;
    case Finding::no_delegation: require(!source || (lacks(DS) && !model.is_cut(qname))); break;
    case Finding::unsigned_delegation: require(model.is_cut(qname) && lacks(DS)); break;
    case Finding::wildcard_expansion:
        require(!model.exists(qname));
        require(model.closest_encloser(qname).label_count() <= question.wildcard_labels);
        break;
    case Finding::nothing:
    case Finding::opt_out:
    case Finding::unhashed: std::abort(); // these are never secure
    }
}

/// With the whole chain at hand, all that is so is proven. Not with opt-out: an empty non-terminal above unsigned
/// delegations alone is then in no chain.
void require_found(const Model& model, const DenialQuestion& question, const Denial& denial)
{
    const wire::Name& qname = *question.qname;
    const bool is_own_ds = qname == zone() && (question.qtype == DS || question.claim == Claim::no_ds);
    if (model.is_below_cut(qname) || is_own_ds) return;
    const auto source = model.source(qname);
    const bool is_found = denial.finding != Finding::nothing;
    const auto lacks = [&](wire::RrType type) { return !model.has(*source, type) && !model.has(*source, CNAME); };
    switch (question.claim) {
    case Claim::name_error: require(is_found == !source); break;
    case Claim::no_data:
        if (source && lacks(question.qtype) && (question.qtype == DS || !model.is_cut(*source))) require(is_found);
        break;
    case Claim::no_ds:
        if (source && lacks(DS)) require(is_found);
        break;
    case Claim::whatever:
        if (!source) require(is_found);
        break;
    case Claim::wildcard_answer:
        if (!model.exists(qname) && model.closest_encloser(qname).label_count() == question.wildcard_labels) {
            require(is_found);
        }
        break;
    }
}

/// A zone, some records of its chain, a question.
void check_model(Input input)
{
    constexpr std::array<wire::RrType, 5> kTypes = {A, TXT, DS, CNAME, NS};
    constexpr std::array<Claim, 5> kClaims = {Claim::name_error, Claim::no_data, Claim::wildcard_answer, Claim::no_ds,
                                              Claim::whatever};
    const std::uint8_t form = input.octet();
    const Model model{input};
    const bool opt_out = (form & 2U) != 0;
    auto chain = (form & 1U) != 0 ? nsec3_chain(model, opt_out) : nsec_chain(model);
    const wire::Name qname = read_name(input);
    DenialQuestion question{&qname, kTypes[input.octet() % kTypes.size()], &zone(),
                            kClaims[input.octet() % kClaims.size()], 0};
    question.wildcard_labels = static_cast<std::uint8_t>(1 + input.octet() % 4);
    const bool is_whole = (form & 4U) == 0;
    if (!is_whole) {
        std::vector<Record> kept; // an attacker chooses what to show
        for (Record& record : chain) {
            if ((input.octet() & 1U) != 0) kept.push_back(std::move(record));
        }
        chain = std::move(kept);
    }
    const Denial denial = prove(question, chain);
    hold_against(model, question, denial);
    if (is_whole && !opt_out) require_found(model, question, denial);
}

/// Any octets as records: no crash, bounded work.
void check_octets(Input input)
{
    std::vector<Record> records;
    for (unsigned count = input.octet() % 8; count > 0; --count) {
        const bool nsec3 = (input.octet() & 1U) != 0;
        wire::Name owner = read_name(input);
        if (nsec3) {
            Nsec3Hash hash{};
            const auto octets = input.take(hash.size());
            std::copy(octets.begin(), octets.end(), hash.begin());
            owner = *zone().prepend(nsec3_label(hash));
        }
        const base::Bytes rdata = input.take(input.octet());
        records.push_back({owner, nsec3 ? NSEC3 : NSEC, {rdata.begin(), rdata.end()}});
    }
    const wire::Name qname = read_name(input);
    for (const Claim claim :
         {Claim::name_error, Claim::no_data, Claim::wildcard_answer, Claim::no_ds, Claim::whatever}) {
        static_cast<void>(prove({&qname, A, &zone(), claim, 1}, records));
    }
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    if (size < 4 || size > 4'096) return 0;
    const Input input{{data + 1, size - 1}};
    if ((data[0] & 3U) == 3U) {
        check_octets(input);
    } else {
        check_model(input);
    }
    return 0;
}
