// SPDX-License-Identifier: MIT
// Code that runs in a process of its own, because it changes what belongs to the process or may not survive; variables of
// the environment and folders that are there for a while.
#pragma once
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <filesystem>
#include <initializer_list>
#include <map>
#include <optional>
#include <string>
#include <utility>

#include <sys/wait.h>
#include <unistd.h>

namespace etch_test {

struct child_result {
    int code = -1;  // of the exit; -1 where a signal ended it
    int signal = 0;
    std::string error;  // what it wrote to stderr
};

/// Calls f, which returns the code of the exit, in a forked process. The caller has one thread. f must not use what
/// reports to the test program.
template <class F> child_result in_child(F f) {
    int ends[2];
    if (pipe(ends) != 0) return {};
    std::fflush(nullptr);
    pid_t child = fork();
    if (child == 0) {
        dup2(ends[1], 2);
        close(ends[0]);
        close(ends[1]);
        int code = 99;
        try {
            code = f();
        } catch (const std::exception& e) {
            std::fprintf(stderr, "%s\n", e.what());
        }
        std::fflush(nullptr);
        _exit(code);
    }
    close(ends[1]);
    child_result result;
    char piece[4096];
    for (ssize_t n; (n = read(ends[0], piece, sizeof piece)) > 0;)
        result.error.append(piece, static_cast<std::size_t>(n));
    close(ends[0]);
    int status = 0;
    waitpid(child, &status, 0);
    if (WIFEXITED(status)) result.code = WEXITSTATUS(status);
    if (WIFSIGNALED(status)) result.signal = WTERMSIG(status);
    return result;
}

/// Variables with these values, until it goes; nullptr unsets one.
class environment {
public:
    environment(std::initializer_list<std::pair<const char*, const char*>> values) {
        for (const auto& [name, value] : values) {
            const char* old = std::getenv(name);
            before[name] = old ? std::optional<std::string>(old) : std::nullopt;
            put(name, value);
        }
    }
    environment(const environment&) = delete;
    ~environment() {
        for (const auto& [name, value] : before) put(name, value ? value->c_str() : nullptr);
    }

private:
    static void put(const std::string& name, const char* value) {
        if (value)
            setenv(name.c_str(), value, 1);
        else
            unsetenv(name.c_str());
    }
    std::map<std::string, std::optional<std::string>> before;
};

/// An empty folder that others may look into, removed in the end.
class scratch_folder {
public:
    scratch_folder() {
        std::string name = (std::filesystem::temp_directory_path() / "etch-XXXXXX").string();
        path = mkdtemp(name.data());
        std::filesystem::permissions(path, std::filesystem::perms(0755));
    }
    scratch_folder(const scratch_folder&) = delete;
    ~scratch_folder() {
        std::error_code ignored;
        std::filesystem::permissions(path, std::filesystem::perms(0755), ignored);
        std::filesystem::remove_all(path, ignored);
    }
    std::string operator/(const std::string& name) const { return (path / name).string(); }
    std::filesystem::path path;
};

}  // namespace etch_test
