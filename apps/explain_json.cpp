#include "apps/explain.hpp"

#include <boost/json.hpp>

#include <array>

namespace sallyport::apps {
namespace {

namespace json = boost::json;

constexpr std::array<std::string_view, 5> kEnds{"none", "answered", "dropped", "ignored", "upstream"};

base::Error bad(std::string message) { return {base::ErrorCode::invalid, std::move(message)}; }

/// A body that is an object.
base::Result<json::object> read_object(std::string_view text)
{
    boost::system::error_code failed;
    json::value value = json::parse(text, failed);
    if (failed || !value.is_object()) return bad("expected a JSON object");
    return std::move(value.get_object());
}

/// Takes known keys of known types; what is left over, or of another type, is an error.
class Taking {
public:
    explicit Taking(const json::object& object) : object_(object) {}

    void text(std::string_view key, std::string& value)
    {
        const json::value* const found = find(key);
        if (found == nullptr) return;
        if (found->is_string())
            value = std::string(found->get_string());
        else
            complain("'" + std::string(key) + "' must be a text");
    }
    void boolean(std::string_view key, bool& value)
    {
        const json::value* const found = find(key);
        if (found == nullptr) return;
        if (found->is_bool())
            value = found->get_bool();
        else
            complain("'" + std::string(key) + "' must be true or false");
    }
    [[nodiscard]] const std::string& problem()
    {
        if (seen_ != object_.size()) complain("there is a key that is not known");
        return problem_;
    }

private:
    const json::value* find(std::string_view key)
    {
        const json::value* const found = object_.if_contains(key);
        if (found != nullptr) ++seen_;
        return found;
    }
    void complain(std::string message)
    {
        if (problem_.empty()) problem_ = std::move(message);
    }

    const json::object& object_;
    std::size_t seen_ = 0;
    std::string problem_;
};

std::string text_of(const json::object& object, std::string_view key)
{
    const auto* const value = object.if_contains(key);
    return value != nullptr && value->is_string() ? std::string(value->get_string()) : std::string{};
}

json::array to_array(const std::vector<std::string>& texts)
{
    json::array out;
    for (const auto& text : texts) out.emplace_back(text);
    return out;
}

std::vector<std::string> texts_of(const json::object& object, std::string_view key)
{
    std::vector<std::string> texts;
    const auto* const value = object.if_contains(key);
    if (value == nullptr || !value->is_array()) return texts;
    for (const auto& item : value->get_array())
        if (item.is_string()) texts.emplace_back(item.get_string());
    return texts;
}

} // namespace

std::string to_json(const ExplainRequest& request)
{
    json::object object{{"name", request.name}, {"type", request.type},    {"client", request.client},
                        {"door", request.door}, {"do", request.dnssec_ok}, {"cd", request.checking_disabled}};
    if (!request.server_name.empty()) object["server_name"] = request.server_name;
    if (!request.path.empty()) object["path"] = request.path;
    return json::serialize(object);
}

base::Result<ExplainRequest> read_explain_request(std::string_view text)
{
    const auto object = read_object(text);
    if (!object) return object.error();
    ExplainRequest request;
    Taking taking{*object};
    taking.text("name", request.name);
    taking.text("type", request.type);
    taking.text("client", request.client);
    taking.text("door", request.door);
    taking.text("server_name", request.server_name);
    taking.text("path", request.path);
    taking.boolean("do", request.dnssec_ok);
    taking.boolean("cd", request.checking_disabled);
    if (const auto& problem = taking.problem(); !problem.empty()) return bad(problem);
    if (request.name.empty()) return bad("'name' is missing");
    return request;
}

std::string to_json(const Explanation& explanation)
{
    json::array steps;
    for (const ExplainStep& step : explanation.steps)
        steps.push_back(json::object{{"stage", step.stage}, {"decision", step.decision}, {"why", step.why}});
    json::array trust;
    for (const TrustStep& step : explanation.trust)
        trust.push_back(json::object{{"zone", step.zone}, {"state", step.state}, {"why", step.why}});
    const json::object object{{"steps", std::move(steps)},
                              {"end", kEnds[static_cast<std::size_t>(explanation.end)]},
                              {"rcode", explanation.rcode},
                              {"source", explanation.source},
                              {"rule", explanation.rule},
                              {"errors", to_array(explanation.errors)},
                              {"records", to_array(explanation.records)},
                              {"trust", std::move(trust)},
                              {"milliseconds", explanation.milliseconds}};
    return json::serialize(object) + "\n";
}

base::Result<Explanation> read_explanation(std::string_view text)
{
    const auto object = read_object(text);
    if (!object) return object.error();
    Explanation explanation;
    if (const auto* const steps = object->if_contains("steps"); steps != nullptr && steps->is_array())
        for (const auto& step : steps->get_array())
            if (step.is_object())
                explanation.steps.push_back({text_of(step.get_object(), "stage"),
                                             text_of(step.get_object(), "decision"),
                                             text_of(step.get_object(), "why")});
    if (const auto* const trust = object->if_contains("trust"); trust != nullptr && trust->is_array())
        for (const auto& step : trust->get_array())
            if (step.is_object())
                explanation.trust.push_back({text_of(step.get_object(), "zone"), text_of(step.get_object(), "state"),
                                             text_of(step.get_object(), "why")});
    const std::string end = text_of(*object, "end");
    for (std::size_t i = 0; i < kEnds.size(); ++i)
        if (kEnds[i] == end) explanation.end = static_cast<Explanation::End>(i);
    explanation.rcode = text_of(*object, "rcode");
    explanation.source = text_of(*object, "source");
    explanation.rule = text_of(*object, "rule");
    explanation.errors = texts_of(*object, "errors");
    explanation.records = texts_of(*object, "records");
    if (const auto* const took = object->if_contains("milliseconds"); took != nullptr && took->is_double())
        explanation.milliseconds = took->get_double();
    return explanation;
}

} // namespace sallyport::apps
