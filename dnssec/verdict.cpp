#include "dnssec/verdict.hpp"

namespace sallyport::dnssec {

std::string describe(const Verdict& verdict, const wire::Name& zone, const wire::Name& owner, wire::RrType type)
{
    constexpr std::size_t kMost = 200;
    std::string text = owner.to_text() + ' ' + wire::to_string(type) + " (zone " + zone.to_text();
    if (verdict.key_tag != 0) text += ", key " + std::to_string(verdict.key_tag);
    text += "): ";
    // Long names are cut, the reason is not.
    if (text.size() + verdict.reason.size() > kMost) text = text.substr(0, kMost - verdict.reason.size() - 3) + "...";
    text += verdict.reason;
    return text;
}

} // namespace sallyport::dnssec
