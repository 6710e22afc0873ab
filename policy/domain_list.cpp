#include "policy/domain_list.hpp"

#include "base/ip_address.hpp"

#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <fstream>

namespace sallyport::policy {
namespace {

constexpr std::string_view kBlanks = " \t\r";
constexpr std::size_t kMaxLine = 4096;

std::string_view next_word(std::string_view& line)
{
    const std::size_t begin = line.find_first_not_of(kBlanks);
    if (begin == std::string_view::npos) return line = {};
    line.remove_prefix(begin);
    const std::string_view word = line.substr(0, line.find_first_of(kBlanks));
    line.remove_prefix(word.size());
    return word;
}

bool is_name_character(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_' ||
           c == '.';
}

/// Published lists hold names of hosts; anything else in a name is a slip or another language.
bool add_name(DomainSetBuilder& set, std::string_view text, Reach reach)
{
    if (text.empty() || text == "." || !std::all_of(text.begin(), text.end(), is_name_character)) return false;
    const auto name = wire::Name::from_text(text);
    if (!name) return false;
    set.add(*name, reach);
    return true;
}

bool is_own_name(std::string_view word)
{
    constexpr std::array<std::string_view, 11> kOwn{
        "localhost",    "localhost.localdomain", "local",        "broadcasthost",  "ip6-localhost", "ip6-loopback",
        "ip6-localnet", "ip6-mcastprefix",       "ip6-allnodes", "ip6-allrouters", "ip6-allhosts"};
    return std::find(kOwn.begin(), kOwn.end(), word) != kOwn.end() || base::IpAddress::parse(word);
}

class ListReader {
public:
    ListReader(const ListLimits& limits, const std::string& file) : set_(limits.names), limits_(limits), file_(file) {}

    base::Result<DomainSet> read(std::string_view text)
    {
        while (!text.empty() && !set_.full()) {
            ++line_;
            const std::size_t end = std::min(text.find('\n'), text.size());
            take(text.substr(0, end));
            text.remove_prefix(std::min(end + 1, text.size()));
        }
        if (set_.full())
            return base::Error{base::ErrorCode::limit,
                               "more than " + std::to_string(limits_.names) + " names; see 'policy.limits.list_names'",
                               {file_, line_, 1}};
        if (senseless_ > sense_)
            return base::Error{base::ErrorCode::invalid,
                               "this is no list of names: " + std::to_string(senseless_) + " lines mean nothing and " +
                                   std::to_string(sense_) + " something; expected names, or a hosts file",
                               {file_, first_senseless_, 1}};
        return set_.take();
    }

private:
    void take(std::string_view line)
    {
        if (line.size() > kMaxLine) return note(false);
        line = line.substr(0, line.find('#'));
        const std::string_view word = next_word(line);
        if (word.empty() || word.front() == '!' || word.front() == '[') return; // `[Adblock Plus]` heads such lists
        if (word.starts_with("@@")) return;
        if (word.starts_with("||")) return take_blocker_rule(word.substr(2));
        if (base::IpAddress::parse(word)) return take_hosts(line);
        note(next_word(line).empty() && add_domain(set_, word));
    }

    void take_hosts(std::string_view names)
    {
        bool good = false;
        for (std::string_view word = next_word(names); !word.empty(); word = next_word(names))
            good = is_own_name(word) || add_name(set_, word, Reach::itself) || good;
        note(good);
    }

    void take_blocker_rule(std::string_view rule)
    {
        // What follows `^` limits the rule to pages and kinds of content, which the DNS can not see.
        const std::size_t end = rule.find('^');
        if (end != std::string_view::npos && end + 1 == rule.size()) note(add_domain(set_, rule.substr(0, end)));
    }

    void note(bool good)
    {
        if (!good && senseless_ == 0) first_senseless_ = line_;
        ++(good ? sense_ : senseless_);
    }

    DomainSetBuilder set_;
    const ListLimits& limits_;
    const std::string& file_;
    std::uint32_t line_ = 0, first_senseless_ = 0;
    std::size_t sense_ = 0, senseless_ = 0;
};

base::Error file_error(std::string what, int error, const std::string& file)
{
    auto made = base::system_error(std::move(what), error);
    made.position.file = file;
    return made;
}

} // namespace

bool add_domain(DomainSetBuilder& set, std::string_view entry)
{
    if (entry.starts_with("*.")) return add_name(set, entry.substr(2), Reach::below);
    return add_name(set, entry, Reach::both);
}

base::Result<DomainSet> parse_domain_list(std::string_view text, const std::string& file, const ListLimits& limits)
{
    return ListReader{limits, file}.read(text);
}

base::Result<DomainSet> load_domain_list(const std::string& file, const ListLimits& limits)
{
    struct stat status{};
    if (::stat(file.c_str(), &status) != 0) return file_error("cannot read the list", errno, file);
    if (!S_ISREG(status.st_mode)) return base::Error{base::ErrorCode::unreadable, "not a file", {file}};
    if (static_cast<std::uint64_t>(status.st_size) > limits.octets)
        return base::Error{base::ErrorCode::limit,
                           "larger than " + std::to_string(limits.octets) + " octets; see 'policy.limits.list_size'",
                           {file}};
    errno = 0;
    std::ifstream stream{file, std::ios::binary};
    std::string text(static_cast<std::size_t>(status.st_size), '\0');
    stream.read(text.data(), status.st_size);
    if (!stream && !stream.eof()) return file_error("cannot read the list", errno, file);
    text.resize(static_cast<std::size_t>(stream.gcount()));
    return parse_domain_list(text, file, limits);
}

} // namespace sallyport::policy
