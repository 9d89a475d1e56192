#' The smallest radius at which R-AT of a linear classifier collapses
#'
#' With the exact adversary, R-AT's objective for a linear model is the mean of
#' log(1 + exp(-(y (w.x + b) - eps |w|_2))), which is convex. Its subgradients at
#' w = 0, b = 0 hold 0 exactly when eps is at least |E(Y X)|, here
#' sqrt(1 + (m (2 p - 1) / 2)^2). At this and larger radii the optimum is the constant
#' classifier. Gradient descent with a fixed step then moves around w = 0, and the direction of
#' the boundary is arbitrary.
#'
#' @param p,m As in [three_clusters()]. The radius does not depend on `sigma`.
#' @return The radius, in the units of the data.
#' @source Derived for this package. The paper leaves open whether R-AT collapses.
#' @examples
#' collapse_radius(p = 0.55)
#' @family functions of the Three Clusters
#' @export
collapse_radius <- function(p = 0.55, m = 7) {
  check_law(p, m, 1)
  sqrt(1 + (m * (2 * p - 1) / 2)^2)
}
