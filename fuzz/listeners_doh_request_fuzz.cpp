// fuzz: links sallyport_listeners
#include "listeners/doh_request.hpp"

#include <cstdlib>
#include <string_view>

using namespace sallyport;

namespace {

std::string_view line(std::string_view& rest)
{
    const std::size_t end = std::min(rest.find('\n'), rest.size());
    const std::string_view first = rest.substr(0, end);
    rest.remove_prefix(std::min(end + 1, rest.size()));
    return first;
}

void expect(bool holds)
{
    if (!holds) std::abort();
}

} // namespace

/// The input is a header, a field a line (`name value`), an empty line, then the body, each line of it a piece.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    using Verdict = listeners::DohRequest::Verdict;
    listeners::DohOptions options;
    options.cors_origins = {"https://a.test"};
    options.forwarded_from = {base::Prefix::parse("10.0.0.0/8").value()};
    listeners::HttpLimits limits;
    limits.body = 300;
    listeners::HttpStats stats;
    listeners::HttpBudget budget{1'000};
    const listeners::DohContext context{&options, &limits, &stats, &budget, {}};

    listeners::DohRequest request;
    request.begin(context, true);
    std::string_view rest{reinterpret_cast<const char*>(data), size};
    while (!rest.empty()) {
        const std::string_view field = line(rest);
        if (field.empty()) break;
        const std::size_t space = std::min(field.find(' '), field.size());
        if (!request.field(field.substr(0, space), field.substr(std::min(space + 1, field.size())))) return 0;
    }
    const bool body = !rest.empty();
    static_cast<void>(request.header_done(!body));
    std::size_t given = 0;
    while (!rest.empty()) {
        const std::string_view piece = line(rest);
        given += piece.size();
        static_cast<void>(request.body(base::as_bytes(piece)));
    }
    if (body) static_cast<void>(request.finished());

    // A request that is whole is a message or a refusal, never nothing.
    expect(request.verdict() != Verdict::more);
    if (request.verdict() == Verdict::query) {
        expect(!request.message().empty() && request.message().size() <= 65'535);
        expect(given == 0 || (request.message().size() == given && given <= limits.body));
        expect(request.client({}).path == "/dns-query");
    } else {
        const auto response = request.refusal();
        expect(response.status == 204 || (response.status >= 400 && response.status <= 503));
        expect(response.status == 204 || !response.text.empty());
    }
    request.clear();
    expect(budget.bodies.held() == 0);
    return 0;
}
