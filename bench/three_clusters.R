# CPU seconds of R-AT and SENSE-AT on the Three Clusters, n = 5000, compared with a loop that calls
# predict.glm() as the authors' R script does; as JSON:
#
#   Rscript bench/three_clusters.R [rounds] [iterations]
#
# with the package installed. It first checks that both ways end at the same coefficients. The
# authors' script calls predict.glm() twice per iteration, for the update and for a picture; the
# loop is timed with one call, which is enough for training, and with two. Both start from the same
# coefficients, so the logistic regression is not timed.
library(sense)

arguments <- as.integer(commandArgs(trailingOnly = TRUE))
rounds <- if (length(arguments) > 0) arguments[1] else 5L
iterations <- if (length(arguments) > 1) arguments[2] else 300L
eps <- 1.6
threshold <- 0.9
data <- three_clusters(5000, seed = 1)

frame <- data.frame(x1 = data$x1, x2 = data$x2, label = (data$y + 1) / 2)
start_model <- suppressWarnings(glm(label ~ x1 + x2, binomial, frame))

glm_loop <- function(data, method, predictions) {
  model <- start_model
  y <- data$y
  for (i in seq_len(iterations)) {
    w <- model$coefficients[2:3]
    length_w <- sqrt(sum(w^2))
    way <- rep(eps, nrow(frame))
    if (method == "sense") {
      margin <- y * (model$coefficients[1] + frame$x1 * w[1] + frame$x2 * w[2])
      way <- pmin(pmax((margin - qlogis(threshold)) / length_w, 0), eps)
    }
    moved <- data.frame(x1 = frame$x1 - y * way * w[1] / length_w,
                        x2 = frame$x2 - y * way * w[2] / length_w)
    p <- predict(model, moved, type = "response")
    step <- colMeans((frame$label - p) * cbind(1, moved$x1, moved$x2))
    model$coefficients <- model$coefficients + 0.01 * step
    if (predictions == 2) predict(model, frame, type = "response")
  }
  unname(model$coefficients)
}

package_way <- function(data, method) {
  fit <- fit_linear_at(data, method, c = threshold, eps = eps, iterations = iterations,
                       start = unname(start_model$coefficients))
  c(fit$b, fit$w)
}

seconds <- function(code) sum(system.time(code)[c("user.self", "sys.self")])
both <- function(run) for (method in c("r-at", "sense")) run(method)

for (method in c("r-at", "sense")) {
  stopifnot(all.equal(package_way(data, method), glm_loop(data, method, 1), tolerance = 1e-8))
}
contenders <- list(
  "package" = function(m) package_way(data, m),
  "predict.glm once per step" = function(m) glm_loop(data, m, 1),
  "predict.glm twice, as the script" = function(m) glm_loop(data, m, 2)
)
times <- lapply(contenders, function(run) numeric())
for (round in seq_len(rounds)) {
  for (name in names(contenders)) {
    times[[name]] <- c(times[[name]], seconds(both(contenders[[name]])))
  }
}
cat(jsonlite::toJSON(list(times = times, n = jsonlite::unbox(nrow(data)),
                          iterations = jsonlite::unbox(iterations),
                          r = jsonlite::unbox(R.version.string)), digits = NA), "\n")
